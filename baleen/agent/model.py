"""A chat model as an author, a solver or a judge sees it: messages in, one message out, tokens and dollars counted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from baleen.chat import Message


class ModelFailure(RuntimeError):
    """No answer could be had from a model, after whatever retries it allows."""


@dataclass(frozen=True)
class Reply:
    """One answer.

    finish_reason: "stop", "tool_calls", "length" (cut off, or no room for an answer), "content_filter" (refused) or
    "malformed" (not in the model's format). reasoning_tokens: how many of completion_tokens were thinking, as far as
    the server tells. dollars: at the model's price.
    """

    message: Message
    finish_reason: str
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    dollars: float = 0.0
    reasoning_tokens: int = 0


class ChatModel(Protocol):
    """Anything that answers a conversation. Safe to call from many threads."""

    @property
    def name(self) -> str: ...

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] = (),
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Reply:
        """Raises ModelFailure; UserError where no call can succeed, BudgetSpent among them."""
        ...
