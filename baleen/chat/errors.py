"""Errors of the chat format. Each carries `.kind`, a stable word to branch on; the message is for people."""


class ChatError(ValueError):
    """Base of every error this room raises on purpose. `kind` is stable, the message is not."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class EncodingError(ChatError):
    """A conversation that has no rendering.

    `message_index` counts from the first of `messages` (so `context` has negative indices); `field` is the
    path inside that message, for example `tool_calls[0].function.arguments`.
    """

    def __init__(self, kind: str, message_index: int, field: str, message: str) -> None:
        super().__init__(kind, f"messages[{message_index}].{field}: {message}")
        self.message_index = message_index
        self.field = field


class ParseError(ChatError):
    """A completion that does not follow the format; `position` is the character where that was certain."""

    def __init__(self, kind: str, position: int, message: str) -> None:
        super().__init__(kind, f"{message} (at character {position})")
        self.position = position


class TokenizerError(ChatError):
    """A tokenizer file that cannot serve this chat format, or a token it does not have."""
