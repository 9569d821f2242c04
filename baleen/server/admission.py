"""Counting the answers in flight, so that overload is refused at the door and not met inside."""

from baleen.server.errors import ApiError
from baleen.server.limits import Limits


class Admission:
    """At most `max_running + max_queued` answers at once; a request for `n` choices counts n times."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.in_flight = 0

    @property
    def running(self) -> int:
        return min(self.in_flight, self._limits.max_running)

    @property
    def waiting(self) -> int:
        return self.in_flight - self.running

    def enter(self, choices: int) -> None:
        """Take `choices` places, which `leave` gives back. Raises ApiError 429 with Retry-After when full, 400
        when it would not fit either if nobody else were there."""
        limit = self._limits.max_running + self._limits.max_queued
        if choices > limit:
            raise ApiError(
                400, f"n={choices}: this server makes {limit} answers at most; ask for fewer.", "n"
            )
        if self.in_flight + choices > limit:
            raise ApiError(
                429,
                f"{self.in_flight} answers are being made or wait, the limit is {limit}, and this request "
                f"asks for {choices} more; try again later.",
                headers={"Retry-After": str(self._limits.retry_after_seconds)},
            )
        self.in_flight += choices

    def leave(self, choices: int) -> None:
        self.in_flight -= choices
