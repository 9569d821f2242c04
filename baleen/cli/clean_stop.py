"""Ctrl-C as a request: what is under way may end first."""

import signal
from types import FrameType


class CleanStop:
    """Around work that looks at `heard`. Ctrl-C once: let what is in flight end, then stop. Twice: at once."""

    heard = False

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGINT, self._hear)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.heard:
            raise KeyboardInterrupt
        self.heard = True
