"""From the token ids of one completion, as they arrive, to an assistant message: reasoning, content, tool calls."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from baleen.chat.fields import Message, ThinkingMode
from baleen.chat.parsing import Delta, StreamParser
from baleen.chat.stop_strings import StopMatcher
from baleen.chat.tokenizer import Tokenizer
from baleen.chat.tokens import THINK_END

FinishReason = Literal["stop", "length", "tool_calls"]


@dataclass(slots=True)
class CallDelta:
    """What one step added to tool call `index`: the id and name come first, arguments follow in fragments."""

    index: int
    arguments: str = ""
    id: str = ""
    name: str | None = None


@dataclass(slots=True)
class CollectedCall:
    """A tool call as far as it has arrived. A client can run it only once `is_complete` is set."""

    index: int
    id: str
    name: str
    arguments: str = ""
    is_complete: bool = False


@dataclass(slots=True)
class MessageDelta:
    """What one step added to a message. The last delta, and only that one, has a `finish_reason`.

    Attributes:
        parse_error: On the last delta, why parts of the completion were left out, if any were.
    """

    reasoning: str = ""
    content: str = ""
    calls: list[CallDelta] = field(default_factory=list)
    finish_reason: FinishReason | None = None
    parse_error: str | None = None

    @property
    def is_empty(self) -> bool:
        return not (self.reasoning or self.content or self.calls or self.finish_reason)


class MessageCollector:
    """Builds one assistant message from token ids. Each `push` returns what it added.

    Attributes:
        reasoning: The thinking so far.
        content: The content so far, up to the first stop string.
        calls: The tool calls so far. Only the last one can be incomplete.
        completion_tokens: Tokens sampled so far, including control tokens such as `</think>` and the end token.
        reasoning_tokens: Those among them that came before `</think>`.
        finish_reason: Why the message ended; None while it is being sampled.
        parse_error: What the model wrote that does not follow the format, once the message has ended.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        thinking_mode: ThinkingMode,
        tools_offered: bool,
        stop: Sequence[str] = (),
    ) -> None:
        """Start an empty message.

        Args:
            tokenizer: Decodes the ids.
            thinking_mode: "thinking" if the prompt ended in `<think>`, "chat" if it ended in `</think>`.
            tools_offered: Whether the prompt offered tools. If not, any calls the model makes are dropped, because
                nobody could answer them.
            stop: Strings that end the message when they appear in its content. Reasoning is not searched.
        """
        self.thinking_mode: ThinkingMode = thinking_mode
        self.reasoning = ""
        self.content = ""
        self.calls: list[CollectedCall] = []
        self.completion_tokens = 0
        self.reasoning_tokens = 0
        self.finish_reason: FinishReason | None = None
        self.parse_error: str | None = None
        self._tools_offered = tools_offered
        self._text = tokenizer.stream()
        self._parser = StreamParser(thinking_mode)
        self._stops = StopMatcher(stop)
        self._think_end_id = tokenizer.control_id(THINK_END)
        self._reasoning_open = thinking_mode == "thinking"

    def push(self, token_ids: Sequence[int], engine_reason: str | None = None) -> MessageDelta:
        """Add the tokens of one engine step.

        Args:
            token_ids: The new ids, the end token included.
            engine_reason: The engine's own finish reason with the last step ("stop" or "length"), otherwise None.

        Returns:
            What these tokens made certain. It has a finish reason after the engine's last step, and as soon as the
            content reaches a stop string; nothing may be pushed after that.

        Raises:
            RuntimeError: The engine ended the completion for another reason, such as "abort".
        """
        self._count(token_ids)
        added = MessageDelta()
        parsed = self._parser.push(self._text.push(token_ids))
        if engine_reason is not None:
            parsed += self._parser.push(self._text.finish())
            parsed += self._parser.finish(truncated=engine_reason == "length")
        for delta in parsed:
            self._add(delta, added)
        if self._stops.stopped:
            self.finish_reason = "stop"
        elif engine_reason is not None:
            self._add_content(self._stops.finish(), added)
            self.finish_reason = self._message_reason(engine_reason)
            self.parse_error = self._problem()
        added.finish_reason, added.parse_error = self.finish_reason, self.parse_error
        return added

    def message(self) -> Message:
        """The assistant message to send back with the next prompt.

        It has `reasoning_content` in thinking mode, and `tool_calls` if the completion ended with them: a completion
        that ended otherwise may hold a call that broke off.
        """
        message: Message = {"role": "assistant", "content": self.content}
        if self.thinking_mode == "thinking":
            message["reasoning_content"] = self.reasoning
        if self.finish_reason == "tool_calls":
            message["tool_calls"] = [_as_field(call) for call in self.calls]
        return message

    def _count(self, token_ids: Sequence[int]) -> None:
        self.completion_tokens += len(token_ids)
        if self._reasoning_open:
            ids = list(token_ids)
            self._reasoning_open = self._think_end_id not in ids
            self.reasoning_tokens += len(ids) if self._reasoning_open else ids.index(self._think_end_id)

    def _add(self, delta: Delta, added: MessageDelta) -> None:
        if self._stops.stopped:
            return
        self.reasoning += delta.reasoning
        added.reasoning += delta.reasoning
        self._add_content(self._stops.push(delta.content), added)
        if delta.index is not None and self._tools_offered and not self._stops.stopped:
            # A call ends the content, so text held back as the possible start of a stop string is content after all.
            self._add_content(self._stops.finish(), added)
            self._add_call(delta, added)

    def _add_content(self, text: str, added: MessageDelta) -> None:
        self.content += text
        added.content += text

    def _add_call(self, delta: Delta, added: MessageDelta) -> None:
        if delta.name is not None:
            call = CollectedCall(len(self.calls), f"call_{uuid.uuid4().hex[:24]}", delta.name)
            self.calls.append(call)
            added.calls.append(CallDelta(call.index, "", call.id, call.name))
        call = self.calls[-1]
        call.arguments += delta.arguments
        call.is_complete = delta.closes_call
        if not added.calls or added.calls[-1].index != call.index:
            added.calls.append(CallDelta(call.index))
        added.calls[-1].arguments += delta.arguments

    def _message_reason(self, engine_reason: str) -> FinishReason:
        if engine_reason == "stop":
            return "tool_calls" if self.calls and self.calls[-1].is_complete else "stop"
        if engine_reason == "length":
            return "length"
        raise RuntimeError(
            f"the engine ended a completion with {engine_reason!r}, although nobody aborted it"
        )

    def _problem(self) -> str | None:
        """The parse error, unless the completion was cut or only lacks the end token (another stop token ended it)."""
        error = self._parser.error
        if self.finish_reason == "length" or error is None or error.kind == "invalid_summary_format":
            return None
        return f"{error.kind}: {error}"


def _as_field(call: CollectedCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
