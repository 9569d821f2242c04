"""A program of `inside` in the sandbox: started with an author's text beside it, spoken to in lines of JSON."""

import json
import os
import selectors
import shutil
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baleen.environments.sandbox import Mount, Sandbox, SandboxLimits

_INSIDE = Path(__file__).parent / "inside"
_TARGET = "/program"
PYTHON = "/usr/bin/python3"
LIMITS = SandboxLimits(memory_bytes=512 << 20, cpu_seconds=20, wall_seconds=30.0, processes=16)
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
            sandbox = Sandbox(mounts=[Mount(self._folder, _TARGET)], limits=limits)
            self._process = sandbox.start([PYTHON, "-I", "-B", "-u", f"{_TARGET}/{name}.py"])
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._left = b""
        os.set_blocking(self._process.stdout.fileno(), False)

    def send(self, value: Any) -> None:
        """Raises ProcessEnded."""
        try:
            self._process.stdin.write(json.dumps(value, default=str).encode() + b"\n")
            self._process.stdin.flush()
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
