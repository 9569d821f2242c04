"""A stateful Python for model-written code: a Jupyter kernel in the sandbox, behind two pipes.

Variables survive errors, exhausted memory and interrupts. If code ignores an interrupt (a loop in C) or ends the
kernel, the state is lost; the result says so, and the next cell gets a fresh kernel.

What comes out of the sandbox is read as lines of JSON of bounded length and trusted to be text, nothing more. A cell
can forge its own output, but it could also have printed it.
"""

import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from baleen.environments.interpreter import driver
from baleen.environments.sandbox import Mount, Sandbox, SandboxLimits, SandboxProcess, python_mounts
from baleen.environments.task import ToolFailure
from baleen.installation import install_command
from baleen.runs.json_pipe import JsonPipe, PipeError

Status = Literal["ok", "error", "interrupted", "lost"]

_START_SECONDS = 90.0
_LINE_BYTES = 1 << 20  # many times the longest reply of the driver
_SPARE_SECONDS = 10.0  # after a cell's time limit and its grace period, until the driver counts as dead
_LIMITS = SandboxLimits(
    memory_bytes=1_500_000_000, cpu_seconds=3600, processes=64, tmp_bytes=64 << 20, wall_seconds=86_400.0
)
_STATUSES: Mapping[str, Status] = {
    "ok": "ok",
    "error": "error",
    "interrupted": "interrupted",
    "stuck": "lost",
    "dead": "lost",
}


@dataclass(frozen=True)
class Cell:
    """The outcome of a cell. "interrupted": stopped at its time limit, the state is kept; "lost": the state is lost."""

    status: Status
    text: str


class Kernel:
    """One kernel, started by the first cell. A context manager. Not thread-safe."""

    def __init__(self, limits: SandboxLimits = _LIMITS) -> None:
        """Raises SandboxUnavailable if this machine cannot enforce the sandbox."""
        script = Path(driver.__file__).resolve()
        self._sandbox = Sandbox(
            mounts=[*python_mounts(), Mount(script, "/run/driver.py")],
            limits=limits,
            env={"HOME": "/tmp", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "agg"},
            unix_sockets=True,
        )
        self._process: SandboxProcess | None = None
        self._pipe: JsonPipe

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def run(self, code: str, seconds: float) -> Cell:
        """Execute a cell for at most `seconds`. Raises ToolFailure if no kernel can be started."""
        if self._process is None:
            self._start()
        assert self._process is not None
        reply: dict[str, Any] = {}
        with suppress(PipeError):  # a cell can stop or kill the driver, or write in its place
            reply = self._pipe.ask(
                {"code": code, "seconds": seconds}, seconds + driver.GRACE + _SPARE_SECONDS
            )
        status = _STATUSES.get(str(reply.get("status")))
        if status is None or status == "lost":
            self.close()
        return Cell(status or "lost", str(reply.get("text", "")))

    def close(self) -> None:
        """End the kernel and everything that it started. The next cell starts another one."""
        if self._process is not None:
            self._process.close()
            self._process = None

    def _start(self) -> None:
        self._process = self._sandbox.start([sys.executable, "/run/driver.py"])
        self._pipe = JsonPipe(self._process, _LINE_BYTES)
        reply: dict[str, Any] = {}
        with suppress(PipeError):
            reply = self._pipe.receive(_START_SECONDS)
        if reply.get("status") != "ready":
            process = self._process
            self.close()
            last = process.errors.decode(errors="replace").strip().splitlines()[-1:]
            raise ToolFailure(
                f"the Jupyter kernel did not start ({''.join(last)[:300]}); it needs jupyter_client and ipykernel: "
                f"{install_command('agents')}"
            )
