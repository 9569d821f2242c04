"""Ctrl-C and SIGTERM as a request: the current step may finish first."""

import signal
from collections.abc import Callable
from types import FrameType
from typing import Self

STOPPING = "stopping after this step; the same command goes on from there"


class Stopped(KeyboardInterrupt):
    """The user or the system asked the program to end.

    Attributes:
        exit_code: 128 plus the number of the signal, as a shell counts.
    """

    def __init__(self, exit_code: int) -> None:
        super().__init__(signal.Signals(exit_code - 128).name)
        self.exit_code = exit_code


class CleanStop:
    """A context manager around work that looks at `heard`: the first signal only sets it, a second one ends the work.

    Attributes:
        heard: whether a signal has come.
        exit_code: 130 for Ctrl-C, 143 for SIGTERM.
    """

    heard = False
    exit_code = 128 + signal.SIGINT

    def __init__(self, told: Callable[[], None] = lambda: None) -> None:
        """Prepare it.

        Args:
            told: called at the first signal.
        """
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
        """Stop here if a signal has come.

        Raises:
            Stopped: it has.
        """
        if self.heard:
            raise Stopped(self.exit_code)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.heard:
            raise Stopped(128 + number)
        self.heard, self.exit_code = True, 128 + number
        self._told()
