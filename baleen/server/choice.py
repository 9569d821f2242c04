"""One answer: what the engine samples, token by token, becomes reasoning, content and tool calls."""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from baleen.chat import Delta, StreamParser, Tokenizer
from baleen.chat.tokens import THINK_END
from baleen.server.prompt import ThinkingMode
from baleen.server.responses import FinishReason, TokenLogprob, TopLogprob
from baleen.server.stops import StopMatcher


class StepOutput(Protocol):
    """What one engine step brought for one answer.

    new_top_logprobs: for each token the log-probabilities of the likeliest tokens, in order, and its own; empty
    if the request did not ask for them.
    """

    @property
    def new_token_ids(self) -> Sequence[int]: ...
    @property
    def new_top_logprobs(self) -> Sequence[Mapping[int, float]]: ...
    @property
    def finish_reason(self) -> str | None: ...


@dataclass(slots=True)
class CallDelta:
    """What one step added to tool call `index`: the first time with id and name, later arguments only."""

    index: int
    arguments: str = ""
    id: str = ""
    name: str | None = None


@dataclass(slots=True)
class ReceivedCall:
    """A call as far as it came; only with its closing brace is it one that a client can run."""

    index: int
    id: str
    name: str
    arguments: str = ""
    is_complete: bool = False


@dataclass(slots=True)
class ChoiceDelta:
    """What one step added to answer `index`; `finish_reason` is set on its last one.

    parse_error: on the last one, why something the model wrote in the place of a tool call is missing.
    """

    index: int
    reasoning: str = ""
    content: str = ""
    calls: list[CallDelta] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    parse_error: str | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.reasoning or self.content or self.calls or self.logprobs or self.finish_reason)


class Choice:
    """Collects one answer; every `push` returns what it added.

    offers_tools: without it calls the model makes anyway are left out: nobody could answer them.
    stop: strings that end the answer when its content reaches them; thinking is not searched.
    top_logprobs: how many of the likeliest tokens are listed beside each token; None for no log-probabilities.
    """

    def __init__(
        self,
        index: int,
        tokenizer: Tokenizer,
        thinking_mode: ThinkingMode,
        offers_tools: bool,
        stop: Sequence[str],
        top_logprobs: int | None,
    ) -> None:
        self.index = index
        self.thinking_mode = thinking_mode
        self.top_logprobs = top_logprobs
        self.reasoning = ""
        self.content = ""
        self.calls: list[ReceivedCall] = []
        self.logprobs: list[TokenLogprob] = []
        self.completion_tokens = 0
        self.reasoning_tokens = 0
        self.cached_tokens = 0
        self.finish_reason: FinishReason | None = None
        self.parse_error: str | None = None
        self._tokenizer = tokenizer
        self._offers_tools = offers_tools
        self._text = tokenizer.stream()
        self._parser = StreamParser(thinking_mode)
        self._stops = StopMatcher(stop)
        self._think_end_id = tokenizer.control_id(THINK_END)
        self._reasoning_open = thinking_mode == "thinking"

    def push(self, output: StepOutput) -> ChoiceDelta:
        """Take one step's tokens. After a stop string or the engine's last step `finish_reason` is set."""
        self._count(output.new_token_ids)
        added = ChoiceDelta(self.index)
        if self.top_logprobs is not None:
            added.logprobs = [
                self._token_logprob(token_id, known, self.top_logprobs)
                for token_id, known in zip(output.new_token_ids, output.new_top_logprobs, strict=True)
                if token_id != self._tokenizer.eos_token_id
            ]
            self.logprobs += added.logprobs
        parsed = self._parser.push(self._text.push(output.new_token_ids))
        if output.finish_reason is not None:
            parsed += self._parser.push(self._text.finish())
            parsed += self._parser.finish(truncated=output.finish_reason == "length")
        for delta in parsed:
            self._take(delta, added)
        if self._stops.stopped:
            self.finish_reason = "stop"
        elif output.finish_reason is not None:
            self._add_content(self._stops.finish(), added)
            self.finish_reason = self._reason(output.finish_reason)
            self.parse_error = self._problem()
        added.finish_reason, added.parse_error = self.finish_reason, self.parse_error
        return added

    def _count(self, token_ids: Sequence[int]) -> None:
        self.completion_tokens += len(token_ids)
        if self._reasoning_open:
            ids = list(token_ids)
            self._reasoning_open = self._think_end_id not in ids
            self.reasoning_tokens += len(ids) if self._reasoning_open else ids.index(self._think_end_id)

    def _take(self, delta: Delta, added: ChoiceDelta) -> None:
        if self._stops.stopped:
            return
        self.reasoning += delta.reasoning
        added.reasoning += delta.reasoning
        self._add_content(self._stops.push(delta.content), added)
        if delta.index is None or not self._offers_tools or self._stops.stopped:
            return
        self._add_content(
            self._stops.finish(), added
        )  # a call ends the content: nothing can complete a stop string
        if delta.name is not None:
            call = ReceivedCall(len(self.calls), f"call_{uuid.uuid4().hex[:24]}", delta.name)
            self.calls.append(call)
            added.calls.append(CallDelta(call.index, "", call.id, call.name))
        call = self.calls[-1]
        call.arguments += delta.arguments
        call.is_complete = delta.closes_call
        if not added.calls or added.calls[-1].index != call.index:
            added.calls.append(CallDelta(call.index))
        added.calls[-1].arguments += delta.arguments

    def _add_content(self, text: str, added: ChoiceDelta) -> None:
        self.content += text
        added.content += text

    def _reason(self, engine_reason: str) -> FinishReason:
        if engine_reason == "stop":
            return "tool_calls" if self.calls and self.calls[-1].is_complete else "stop"
        if engine_reason == "length":
            return "length"
        raise RuntimeError(f"the engine ended a request that nobody aborted with {engine_reason!r}")

    def _problem(self) -> str | None:
        """What was wrong with an answer that was not cut; one that ended by another stop token lacks the end token."""
        error = self._parser.error
        if self.finish_reason == "length" or error is None or error.kind == "invalid_summary_format":
            return None
        return f"{error.kind}: {error}"

    def _token_logprob(self, token_id: int, known: Mapping[int, float], count: int) -> TokenLogprob:
        top = [TopLogprob(**self._named(other, logprob)) for other, logprob in islice(known.items(), count)]
        return TokenLogprob(**self._named(token_id, known[token_id]), top_logprobs=top)

    def _named(self, token_id: int, logprob: float) -> dict[str, Any]:
        data = self._tokenizer.token_bytes(token_id)
        return {"token": data.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(data)}
