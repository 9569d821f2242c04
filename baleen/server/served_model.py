"""The model a server offers, and the names a client may call it by."""

from dataclasses import dataclass

from baleen.chat import ThinkingMode
from baleen.server.errors import ApiError

# DeepSeek's API has two names for one model, which differ only in the thinking mode.
_ALIASES: dict[str, ThinkingMode] = {"deepseek-chat": "chat", "deepseek-reasoner": "thinking"}


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model a server offers.

    Attributes:
        name: Its name in the API.
        max_model_len: Longest prompt plus answer, in tokens.
        default_mode: The thinking mode of requests that use `name` and do not choose one.
    """

    name: str
    max_model_len: int
    default_mode: ThinkingMode = "thinking"

    @property
    def names(self) -> list[str]:
        """All names a request may use, the model's own first."""
        return [self.name, *(alias for alias in _ALIASES if alias != self.name)]

    def mode_of(self, name: str) -> ThinkingMode:
        """The thinking mode that `name` stands for. Raises ApiError (400) for an unknown name."""
        if name == self.name:
            return self.default_mode
        if name in _ALIASES:
            return _ALIASES[name]
        known = ", ".join(self.names)
        raise ApiError(400, f"Model Not Exist: {name[:80]!r}; this server has {known}", "model")
