"""What one request may ask for and how many may wait. Every refusal names the field and the limit."""

from dataclasses import asdict, dataclass
from typing import ClassVar

from baleen.chat import ThinkingMode


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one server. Upper-case ones are part of the API's schema, the others are set when serving."""

    MESSAGES: ClassVar[int] = 512
    TOOLS: ClassVar[int] = 64
    STOP_STRINGS: ClassVar[int] = 16
    STOP_CHARACTERS: ClassVar[int] = 256
    CHOICES: ClassVar[int] = 16  # `n`
    JSON_DEPTH: ClassVar[int] = 64
    JSON_ITEMS: ClassVar[int] = 10_000
    HEADER_BYTES: ClassVar[int] = 64 * 1024

    body_bytes: int = 2 * 1024 * 1024
    max_running: int = 16  # answers the engine works on at once
    max_queued: int = 64  # answers that may wait behind them; more get 429
    request_seconds: float = 600.0  # from admission to the last token
    retry_after_seconds: int = 1  # told to a client that got 429
    keep_alive_seconds: float = 10.0  # a silent stream sends a comment this often
    chat_max_tokens: int = 4096  # default of `max_tokens` without thinking
    thinking_max_tokens: int = 32768  # and with it, reasoning included

    def default_max_tokens(self, thinking_mode: ThinkingMode) -> int:
        """Tokens of an answer whose request sets no `max_tokens`."""
        return self.thinking_max_tokens if thinking_mode == "thinking" else self.chat_max_tokens

    def describe(self) -> dict[str, int | float]:
        """All limits by name, the fixed ones first."""
        names = ("messages", "tools", "stop_strings", "stop_characters", "choices")
        names += ("json_depth", "json_items", "header_bytes")
        return {name: getattr(self, name.upper()) for name in names} | asdict(self)
