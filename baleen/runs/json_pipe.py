"""JSON lines to and from a child process, with a deadline for every read and write.

The child is not trusted: it may be killed, hang, or run code that writes anything. Whatever it sends is only parsed as
JSON of bounded length.
"""

import json
import os
import select
import time
from typing import IO, Any, Literal, Protocol

_CHUNK = 1 << 16
_SAID = {
    "timeout": "took too long",
    "closed": "ended",
    "too_long": "wrote too much",
    "invalid": "wrote no JSON object",
}


class PipeError(RuntimeError):
    """No valid answer arrived.

    Attributes:
        kind: "timeout", "closed" if the child ended, "too_long", or "invalid" if it wrote no JSON object.
    """

    def __init__(self, kind: Literal["timeout", "closed", "too_long", "invalid"]) -> None:
        super().__init__(_SAID[kind])
        self.kind = kind


class Piped(Protocol):
    """A child process with unbuffered binary pipes."""

    @property
    def stdin(self) -> IO[bytes] | None: ...

    @property
    def stdout(self) -> IO[bytes] | None: ...


class JsonPipe:
    """The two pipes of a child process. Not for several threads at once."""

    def __init__(self, process: Piped, max_line: int = 1 << 20) -> None:
        """Take over the pipes.

        Args:
            process: the child.
            max_line: most bytes of one answer.
        """
        assert process.stdin is not None and process.stdout is not None
        self._stdin, self._stdout = process.stdin.fileno(), process.stdout.fileno()
        self._max_line = max_line
        self._unread = bytearray()
        os.set_blocking(self._stdin, False)

    def ask(self, value: Any, seconds: float) -> dict[str, Any]:
        """Send one line and wait for one, within `seconds` for both.

        Raises:
            PipeError: there was no valid answer.
        """
        deadline = time.monotonic() + seconds
        self.send(value, seconds)
        return self.receive(deadline - time.monotonic())

    def send(self, value: Any, seconds: float) -> None:
        """Write one line; values that are not JSON are sent as strings.

        Raises:
            PipeError: the child ended or did not read in time.
        """
        left = memoryview(json.dumps(value, default=str).encode() + b"\n")
        deadline = time.monotonic() + seconds
        while left:
            _wait(self._stdin, select.POLLOUT, deadline)
            try:
                left = left[os.write(self._stdin, left[:_CHUNK]) :]
            except BlockingIOError:
                continue  # the kernel had less room than it said
            except OSError:
                raise PipeError("closed") from None

    def receive(self, seconds: float) -> dict[str, Any]:
        """The next line, an object.

        Raises:
            PipeError: there was no valid answer within `seconds`.
        """
        deadline = time.monotonic() + seconds
        while (end := self._unread.find(b"\n")) < 0:
            if len(self._unread) > self._max_line:
                raise PipeError("too_long")
            _wait(self._stdout, select.POLLIN, deadline)
            chunk = os.read(self._stdout, _CHUNK)
            if not chunk:
                raise PipeError("closed")
            self._unread += chunk
        line = bytes(self._unread[:end])
        del self._unread[: end + 1]
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise PipeError("invalid") from None
        if not isinstance(value, dict):
            raise PipeError("invalid")
        return value


def _wait(pipe: int, event: int, deadline: float) -> None:
    """Wait until the pipe is ready or closed. Not select(), which fails for descriptors above 1023."""
    poller = select.poll()
    poller.register(pipe, event)
    if not poller.poll(1000 * max(0.0, deadline - time.monotonic())):
        raise PipeError("timeout")
