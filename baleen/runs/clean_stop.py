"""Ctrl-C and SIGTERM as a request: what is under way may end first."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Self

STOPPING = "stopping after this step; the same command goes on from there"


class Stopped(KeyboardInterrupt):
    """The user, or the system, asked to end. exit_code: 128 and the number of the signal, as a shell counts."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(signal.Signals(exit_code - 128).name)
        self.exit_code = exit_code


class CleanStop:
    """Around work that looks at `heard`. One signal: let what is in flight end, then stop. Another one: at once.

    told: called at the first signal. exit_code: 130 for Ctrl-C, 143 for SIGTERM.
    """

    heard = False
    exit_code = 128 + signal.SIGINT

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        self._told = told

    def __enter__(self) -> Self:
        self._before = {
            number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def raise_if_heard(self) -> None:
        """Raises Stopped after a signal."""
        if self.heard:
            raise Stopped(self.exit_code)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.heard:
            raise Stopped(128 + number)
        self.heard, self.exit_code = True, 128 + number
        self._told()
