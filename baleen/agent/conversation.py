"""A conversation and the token ids of its next prompt."""

from collections.abc import Iterable, Sequence

from baleen.chat import Message, Tokenizer, encode_pieces

_TURN_ROLES = ("user", "developer")


class Conversation:
    """Messages, and the prompt that asks for the next assistant message.

    While only tool results arrive the prompt grows at its end: sampled ids stay as they were sampled,
    thinking included, and are never encoded again. A new user or developer message has the whole prompt
    encoded afresh, which leaves earlier thinking out (DeepSeek-V3.2 report, "Thinking in Tool-Use").
    """

    def __init__(self, tokenizer: Tokenizer, thinking_mode: str, messages: Iterable[Message] = ()) -> None:
        """thinking_mode: "chat" or "thinking". `add` raises EncodingError and then changes nothing."""
        self.messages: list[Message] = []
        self.starts_chain = True
        """Whether the prompt does not extend an earlier prompt and its completion."""
        self._tokenizer = tokenizer
        self._thinking_mode = thinking_mode
        self._ids: list[int] = []
        self.add(messages)

    @property
    def prompt_ids(self) -> list[int]:
        """A copy of the ids so far; they ask for an assistant message when the last message is not one."""
        return list(self._ids)

    @property
    def num_tokens(self) -> int:
        """Length of `prompt_ids`."""
        return len(self._ids)

    def add(self, messages: Iterable[Message]) -> None:
        """Append anything that was not sampled: system, user, developer and tool messages, and history."""
        new = list(messages)
        if not self.messages or any(message.get("role") in _TURN_ROLES for message in new):
            self._ids = self._encode([*self.messages, *new], [])
            self.starts_chain = True
        else:
            self._ids.extend(self._encode(new, self.messages))
        self.messages.extend(new)

    def add_completion(self, message: Message, token_ids: Sequence[int]) -> None:
        """Append an assistant message in the very ids it was sampled as."""
        self.messages.append(message)
        self._ids.extend(token_ids)
        # A stop token other than the end token leaves the turn open; the format closes every turn.
        if not token_ids or token_ids[-1] != self._tokenizer.eos_token_id:
            self._ids.append(self._tokenizer.eos_token_id)
        self.starts_chain = False

    def _encode(self, messages: list[Message], context: list[Message]) -> list[int]:
        # drop_thinking=False renders the same text; the default refuses a developer message in the history.
        pieces = encode_pieces(messages, self._thinking_mode, context, drop_thinking=False)
        return self._tokenizer.encode_pieces(pieces)
