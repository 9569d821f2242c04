"""Limits that the kernel keeps for no unprivileged program: memory of a whole tree, disk used by whole folders.

We look a few times a second and kill. What is used between two looks comes on top.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from baleen.environments.sandbox.limits import SandboxLimits

PAUSE = 0.1  # seconds between two looks
_SCAN_SHARE = 0.05  # of the time, at most, for looking through folders
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Watch:
    """Watches one sandbox. folders: what it may write to."""

    def __init__(self, folders: Sequence[Path], limits: SandboxLimits) -> None:
        self._folders, self._limits = folders, limits
        self._next_scan = time.monotonic() + PAUSE

    def over(self, init: int) -> str:
        """The limit that is exceeded, in words; "" if none. init: process id of the sandbox's init, seen from here."""
        limits = self._limits
        if _memory(init, limits.total_memory_bytes) > limits.total_memory_bytes:
            return f"all processes together used more than {limits.total_memory_bytes} bytes of memory"
        begun = time.monotonic()
        if begun < self._next_scan:
            return ""
        size, files = _disk(self._folders)
        now = time.monotonic()
        self._next_scan = now + max(PAUSE, (now - begun) / _SCAN_SHARE)
        if size > limits.disk_bytes:
            return f"the writable mounts held more than {limits.disk_bytes} bytes"
        if files > limits.disk_files:
            return f"the writable mounts held more than {limits.disk_files} files"
        return ""


def _memory(init: int, enough: int) -> int:
    """Resident memory of a tree in bytes; what processes share is counted once, if that matters for `enough`."""
    pids = list(_tree(init))
    total = sum(map(_resident, pids))
    return sum(map(_proportional, pids)) if total > enough else total


def children(pid: int) -> Iterator[int]:
    """Process ids of a process's children."""
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{task}/children") as file:
                yield from map(int, file.read().split())


def _tree(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        pid = waiting.pop()
        yield pid
        waiting.extend(children(pid))


def _resident(pid: int) -> int:
    with suppress(OSError, IndexError), open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * _PAGE
    return 0


def _proportional(pid: int) -> int:
    """Shared pages divided by the number of those that share them; a process may have hidden that."""
    with suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    return _resident(pid)


def _disk(folders: Sequence[Path]) -> tuple[int, int]:
    """Bytes and number of all files in these folders; other file systems mounted below are not entered."""
    size, count = 0, 0
    waiting = [str(folder) for folder in folders if folder.is_dir()]
    while waiting:
        with suppress(OSError), os.scandir(waiting.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    count += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return size, count
