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
    """What one sandbox may use.

    By the kernel: memory_bytes, address space of each process; cpu_seconds, of each process; processes, processes and
    threads together; open_files, descriptors of each process; file_bytes, size of any one file; tmp_bytes and
    tmp_files, all of /tmp and /dev/shm.

    By us, who look and kill: wall_seconds and output_bytes (stdout and stderr together) at once; a few times a second
    total_memory_bytes, resident memory of all processes, and disk_bytes and disk_files, all that writable mounts hold.
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
    total_memory_bytes: int = 2 << 30
    disk_bytes: int = 1 << 30
    disk_files: int = 100_000


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
    the cap. seconds: wall time. reason: the limit for which we killed it, "" if we did not.
    """

    returncode: int
    stdout: bytes
    stderr: bytes
    ended: Ended
    seconds: float
    reason: str = ""
