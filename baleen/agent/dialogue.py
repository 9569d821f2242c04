"""The policy's side of an episode, for both kinds of policy: those that sample token ids, those that answer messages.

A `Player` begins a `Dialogue` for each episode. With ids, the prompt of a turn extends the turn before and nothing
sampled is encoded again; with messages, a server does the encoding, and what the prompt holds is only counted.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from baleen.agent.conversation import Conversation
from baleen.agent.model import ChatModel, ModelFailure, Reply
from baleen.agent.trajectory import Completion, StopReason, Usage
from baleen.agent.worker import Worker
from baleen.chat import (
    ChatError,
    Message,
    StreamParser,
    Tokenizer,
    encode_pieces,
    parse_message_from_completion_text,
)
from baleen.chat.tokens import THINK_END
from baleen.config.engine import SamplingParams

_BYTES_PER_TOKEN = 4  # where no server counts them
_QUESTION: Message = {"role": "user", "content": ""}


class PolicyFailure(RuntimeError):
    """A policy could not give a completion, through no fault of what it was asked."""


class Generate(Protocol):
    """A policy: ids in, a sampled completion out. Raises PolicyFailure."""

    async def __call__(self, prompt_ids: list[int], params: SamplingParams) -> Completion: ...


@dataclass(frozen=True)
class Said:
    """What came of asking. message: None when `fault` says why there is none.

    starts_chain and think_tokens are those of `Turn`.
    """

    completion: Completion
    message: Message | None
    starts_chain: bool
    think_tokens: int
    fault: StopReason | None = None
    error: str = ""


class Dialogue(Protocol):
    """What one policy was shown and said in one episode."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of the next prompt, as well as it is known."""
        ...

    def show(self, messages: Sequence[Message]) -> None:
        """Begin afresh with these messages. Raises EncodingError."""
        ...

    def add(self, messages: Sequence[Message]) -> None:
        """Go on with what the policy did not say. Raises EncodingError and then changes nothing."""
        ...

    async def ask(self) -> Said:
        """The next assistant message, which then belongs to the dialogue. Raises PolicyFailure, UserError."""
        ...

    async def ask_aside(self, question: Message) -> tuple[Said, str]:
        """An answer outside the dialogue, and whatever text can be read of it. Raises as `ask`."""
        ...

    def size(self, turn: Sequence[Message]) -> int:
        """Tokens that an assistant message and its results take."""
        ...

    def close(self) -> None: ...


class Player(Protocol):
    """A policy that may play many episodes at once. thinking_mode: "chat", "thinking", "" where a server decides."""

    @property
    def thinking_mode(self) -> str: ...

    def begin(self) -> Dialogue: ...


class TokenPlayer:
    """A policy of token ids. `params` goes to `generate` as it is."""

    def __init__(
        self, generate: Generate, tokenizer: Tokenizer, thinking_mode: str, params: SamplingParams
    ) -> None:
        self.thinking_mode = thinking_mode
        self._begin = partial(_TokenDialogue, generate, tokenizer, thinking_mode, params)

    def begin(self) -> Dialogue:
        return self._begin()


class _TokenDialogue:
    def __init__(
        self, generate: Generate, tokenizer: Tokenizer, thinking_mode: str, params: SamplingParams
    ) -> None:
        self._generate = generate
        self._tokenizer = tokenizer
        self._thinking_mode = thinking_mode
        self._params = params
        self._think_end = tokenizer.control_id(THINK_END)
        self._conversation = Conversation(tokenizer, thinking_mode)

    @property
    def prompt_tokens(self) -> int:
        return self._conversation.num_tokens

    def show(self, messages: Sequence[Message]) -> None:
        self._conversation = Conversation(self._tokenizer, self._thinking_mode, messages)

    def add(self, messages: Sequence[Message]) -> None:
        self._conversation.add(messages)

    async def ask(self) -> Said:
        starts_chain = self._conversation.starts_chain
        completion = await self._generate(self._conversation.prompt_ids, self._params)
        said = self._read(completion, starts_chain)
        if said.message is not None:
            self._conversation.add_completion(said.message, completion.token_ids)
        return said

    async def ask_aside(self, question: Message) -> tuple[Said, str]:
        messages = [*self._conversation.messages, question]
        prompt_ids = Conversation(self._tokenizer, self._thinking_mode, messages).prompt_ids
        completion = await self._generate(prompt_ids, self._params)
        parser = StreamParser(self._thinking_mode)
        deltas = parser.push(completion.text) + parser.finish()
        return self._read(completion, True), "".join(delta.content for delta in deltas)

    def size(self, turn: Sequence[Message]) -> int:
        # The question before it makes this the turn in which thinking is shown.
        return len(self._tokenizer.encode_pieces(encode_pieces(turn, "thinking", context=[_QUESTION])))

    def close(self) -> None:
        pass

    def _read(self, completion: Completion, starts_chain: bool) -> Said:
        think_tokens = self._think_tokens(completion)
        message, fault, error = None, None, ""
        if completion.finish_reason == "abort":
            fault, error = StopReason.POLICY_ERROR, "the completion was aborted"
        elif completion.finish_reason == "length":
            fault, error = StopReason.MAX_TOKENS, "the completion was cut off"
        else:
            try:
                message = parse_message_from_completion_text(completion.text, self._thinking_mode)
            except ChatError as wrong:
                fault, error = StopReason.PARSE_ERROR, f"{wrong.kind}: {wrong}"
        return Said(completion, message, starts_chain, think_tokens, fault, error)

    def _think_tokens(self, completion: Completion) -> int:
        if self._thinking_mode != "thinking":
            return 0
        ids = list(completion.token_ids)
        return ids.index(self._think_end) if self._think_end in ids else len(ids)


class ChatPlayer:
    """A policy of messages: a model behind an address, or a script."""

    thinking_mode = ""

    def __init__(
        self,
        model: ChatModel,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> None:
        self._complete = partial(model.complete, max_tokens=max_tokens, temperature=temperature, seed=seed)

    def begin(self) -> Dialogue:
        return _ChatDialogue(self._complete)


_FAULTS = {
    "length": (StopReason.MAX_TOKENS, "the answer was cut off, or the conversation left no room for one"),
    "malformed": (StopReason.PARSE_ERROR, "the answer does not follow the model's format"),
    "content_filter": (StopReason.REFUSED, "the model or its server refused to answer"),
}


class _ChatDialogue:
    def __init__(self, complete: partial[Reply]) -> None:
        self._complete = complete
        self._messages: list[Message] = []
        self._starts_chain = True
        self._counted = 0  # tokens of the messages before `_uncounted`, by the server
        self._uncounted: list[Message] = []
        self._worker = Worker("model")

    @property
    def prompt_tokens(self) -> int:
        return self._counted + self.size(self._uncounted)

    def show(self, messages: Sequence[Message]) -> None:
        self._messages = list(messages)
        self._counted, self._uncounted = 0, list(messages)
        self._starts_chain = True

    def add(self, messages: Sequence[Message]) -> None:
        self._messages.extend(messages)
        self._uncounted.extend(messages)
        if any(message["role"] in ("user", "developer") for message in messages):
            self._starts_chain = True

    async def ask(self) -> Said:
        starts_chain = self._starts_chain
        said = self._said(await self._reply(self._messages), starts_chain)
        if said.message is not None:
            self._messages.append(said.message)
            usage = said.completion.usage
            self._counted, self._uncounted = usage.prompt_tokens + usage.completion_tokens, []
            self._starts_chain = False
        return said

    async def ask_aside(self, question: Message) -> tuple[Said, str]:
        reply = await self._reply([*self._messages, question])
        return self._said(reply, True), str(reply.message.get("content") or "")

    def size(self, turn: Sequence[Message]) -> int:
        return len(json.dumps(list(turn), ensure_ascii=False).encode()) // _BYTES_PER_TOKEN if turn else 0

    def close(self) -> None:
        self._worker.close()

    async def _reply(self, messages: Sequence[Message]) -> Reply:
        try:
            reply = await self._worker.run(self._complete, tuple(messages))
        except ModelFailure as failure:
            raise PolicyFailure(str(failure)) from failure
        if reply.prompt_tokens or reply.finish_reason in _FAULTS:
            return reply
        # A script, or a server that does not tell.
        counts = self.size(messages), self.size([reply.message])
        return replace(reply, prompt_tokens=counts[0], completion_tokens=counts[1])

    def _said(self, reply: Reply, starts_chain: bool) -> Said:
        usage = Usage(reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens, reply.dollars)
        text = "\n".join(filter(None, (reply.message.get("reasoning_content"), reply.message.get("content"))))
        completion = Completion((), (), (), text, reply.finish_reason, reported=usage)
        fault, error = _FAULTS.get(reply.finish_reason, (None, ""))
        message = reply.message if fault is None else None
        return Said(completion, message, starts_chain, reply.reasoning_tokens, fault, error)
