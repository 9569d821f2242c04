"""What a sandbox grants, what it gave back, and why there may be none."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from baleen.environments.task import ToolFailure

Ended = Literal["exit", "wall", "output", "killed"]


class SandboxUnavailable(ToolFailure):
    """This machine cannot enforce what a sandbox promises; one line with the reason and the remedy."""


class MountError(ValueError):
    """A mount that cannot be made or that would be unsafe; the message names the path and the remedy."""


@dataclass(frozen=True)
class SandboxLimits:
    """What one sandbox may use. The kernel enforces all but `output_bytes` and `wall_seconds`, which we do.

    memory_bytes: address space of each process. cpu_seconds: of each process. processes: processes and threads of
    the whole sandbox. open_files: descriptors of each process. file_bytes: size of any one file. tmp_bytes,
    tmp_files: size and number of files of /tmp and /dev/shm together. output_bytes: stdout and stderr together.
    """

    memory_bytes: int = 1 << 30
    cpu_seconds: int = 60
    processes: int = 64
    open_files: int = 256
    file_bytes: int = 64 << 20
    tmp_bytes: int = 256 << 20
    output_bytes: int = 1 << 20
    wall_seconds: float = 60.0
    tmp_files: int = 32_768


@dataclass(frozen=True)
class Mount:
    """A folder or file of this machine, seen in the sandbox under the absolute path `target`."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True)
class Outcome:
    """How a program ended: by itself ("exit"), over the wall time, over the output, or by a signal ("killed").

    returncode: the program's own; 128 + n after signal n, as a shell tells it. stdout, stderr: what it wrote, up to
    the cap. seconds: wall time.
    """

    returncode: int
    stdout: bytes
    stderr: bytes
    ended: Ended
    seconds: float
