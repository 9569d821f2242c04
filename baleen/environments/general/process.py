"""A program of `inside` in the sandbox: started with an author's text beside it, spoken to in lines of JSON."""

import json
import os
import selectors
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baleen.environments.sandbox import Mount, Sandbox, SandboxLimits

_INSIDE = Path(__file__).parent / "inside"
_TARGET = "/program"
_PYTHON = os.path.realpath(sys.executable)
LIMITS = SandboxLimits(memory_bytes=512 << 20, cpu_seconds=20)
MAX_LINE = 32 << 20  # bytes: a database in base64 and its reply


class ProcessEnded(RuntimeError):
    """The program ended, said something that is no line of JSON, or took too long."""


class Program:
    """One running program. `texts`: module name -> the author's Python text, which the program imports."""

    def __init__(self, name: str, texts: Mapping[str, str], limits: SandboxLimits = LIMITS) -> None:
        """Raises SandboxUnavailable."""
        self._folder = Path(tempfile.mkdtemp(prefix="baleen-general-"))
        try:
            self._folder.chmod(0o755)  # the sandbox's user is another one
            (self._folder / f"{name}.py").write_bytes((_INSIDE / f"{name}.py").read_bytes())
            for module, text in texts.items():
                (self._folder / f"{module}.py").write_text(text, encoding="utf-8", errors="surrogatepass")
            sandbox = Sandbox([Mount(self._folder, _TARGET), *_python_mounts()], limits)
            self._process = sandbox.start([_PYTHON, "-I", "-S", "-B", f"{_TARGET}/{name}.py"])
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._left = b""
        for pipe in (self._process.stdin, self._process.stdout):
            os.set_blocking(pipe.fileno(), False)

    def send(self, value: Any, seconds: float = 5.0) -> None:
        """One line. Raises ProcessEnded, also when the program does not read it in time."""
        left = memoryview(json.dumps(value, default=str).encode() + b"\n")
        stdin, ends = self._process.stdin.fileno(), time.monotonic() + seconds
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE)
            while left:
                if not selector.select(max(0.0, ends - time.monotonic())):
                    raise ProcessEnded("the program took too long")
                try:
                    left = left[os.write(stdin, left[: 1 << 16]) :]
                except BlockingIOError:
                    continue  # the kernel had less room than it said
                except OSError:
                    raise ProcessEnded("the program ended") from None

    def receive(self, seconds: float) -> dict[str, Any]:
        """The next line, an object. Raises ProcessEnded."""
        line = self._line(time.monotonic() + seconds)
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            raise ProcessEnded("the program wrote no JSON") from None
        if not isinstance(value, dict):
            raise ProcessEnded("the program wrote no JSON object")
        return value

    def _line(self, ends: float) -> bytes:
        stdout = self._process.stdout.fileno()
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while b"\n" not in self._left:
                left = ends - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise ProcessEnded("the program took too long")
                data = os.read(stdout, 1 << 16)
                if not data:
                    raise ProcessEnded("the program ended")
                self._left += data
                if len(self._left) > MAX_LINE:
                    raise ProcessEnded("the program wrote too much")
        line, _, self._left = self._left.partition(b"\n")
        return line

    def close(self) -> None:
        self._process.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _python_mounts() -> list[Mount]:
    """Our own Python, where it lies outside of the system that every sandbox sees."""
    prefix = os.path.realpath(sys.base_prefix)
    return [] if prefix.startswith("/usr") else [Mount(Path(prefix), prefix)]
