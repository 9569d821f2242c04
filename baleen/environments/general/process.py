"""A program of `inside` in the sandbox: started with an author's text beside it, spoken to in lines of JSON."""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baleen.environments.sandbox import Mount, Sandbox, SandboxLimits
from baleen.runs.json_pipe import JsonPipe, PipeError

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
        self._pipe = JsonPipe(self._process, MAX_LINE)

    def send(self, value: Any, seconds: float = 5.0) -> None:
        """One line. Raises ProcessEnded, also when the program does not read it in time."""
        try:
            self._pipe.send(value, seconds)
        except PipeError as error:
            raise ProcessEnded(f"the program {error}") from None

    def receive(self, seconds: float) -> dict[str, Any]:
        """The next line, an object. Raises ProcessEnded."""
        try:
            return self._pipe.receive(seconds)
        except PipeError as error:
            raise ProcessEnded(f"the program {error}") from None

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
