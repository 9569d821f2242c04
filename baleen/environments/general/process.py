"""Programs of `inside` in the sandbox: started with an author's module next to them, addressed in lines of JSON."""

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
MAX_LINE_BYTES = 32 << 20  # enough for a database in base64


class ProcessEnded(RuntimeError):
    """The program ended, wrote something other than a line of JSON, or took too long."""


class Program:
    """One running program. A context manager."""

    def __init__(self, name: str, modules: Mapping[str, str], limits: SandboxLimits = LIMITS) -> None:
        """Start a program.

        Args:
            name: the file in `inside`, without its suffix.
            modules: module name -> Python text by the author; the program imports them.
            limits: of its sandbox.

        Raises:
            SandboxUnavailable: this machine cannot enforce the sandbox.
        """
        self._folder = Path(tempfile.mkdtemp(prefix="baleen-general-"))
        try:
            self._folder.chmod(0o755)  # the sandbox runs as another user
            (self._folder / f"{name}.py").write_bytes((_INSIDE / f"{name}.py").read_bytes())
            for module, text in modules.items():
                (self._folder / f"{module}.py").write_text(text, encoding="utf-8", errors="surrogatepass")
            sandbox = Sandbox([Mount(self._folder, _TARGET), *_python_mounts()], limits)
            self._process = sandbox.start([_PYTHON, "-I", "-S", "-B", f"{_TARGET}/{name}.py"])
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._pipe = JsonPipe(self._process, MAX_LINE_BYTES)

    def send(self, value: Any, seconds: float = 5.0) -> None:
        """Send one line. Raises ProcessEnded, also if the program does not read it in time."""
        try:
            self._pipe.send(value, seconds)
        except PipeError as error:
            raise ProcessEnded(f"the program {error}") from None

    def receive(self, seconds: float) -> dict[str, Any]:
        """Wait for the next line, a JSON object. Raises ProcessEnded."""
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
    """Our own Python, if it lies outside the folders that every sandbox sees."""
    prefix = os.path.realpath(sys.base_prefix)
    return [] if prefix.startswith("/usr") else [Mount(Path(prefix), prefix)]
