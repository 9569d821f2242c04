"""Starting programs so that they die with this process, and not before."""

import os
import queue
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from functools import cache

# Nothing of our environment: a sandboxed program can read that of bubblewrap's init.
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"}


def spawn(command: Sequence[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Start a program with pipes for stdin, stdout and stderr, an empty environment and these descriptors."""
    return _spawner(os.getpid()).spawn(command, fds)


class _Spawner(threading.Thread):
    """Starts all programs. "Die with the parent" means the parent's *thread*: this one lives as long as we do."""

    def __init__(self) -> None:
        super().__init__(name="sandbox-spawner", daemon=True)
        self._orders: queue.SimpleQueue[tuple[Sequence[str], Sequence[int], Future]] = queue.SimpleQueue()

    def run(self) -> None:
        while True:
            command, fds, future = self._orders.get()
            try:
                future.set_result(_popen(command, fds))
            except Exception as error:
                future.set_exception(error)

    def spawn(self, command: Sequence[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
        future: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((command, fds, future))
        return future.result()


def _popen(command: Sequence[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command,
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
        bufsize=0,
        env=_ENVIRONMENT,
        cwd="/",
        pass_fds=tuple(fds),
    )


@cache
def _spawner(pid: int) -> _Spawner:
    """One for each process: threads do not survive a fork."""
    spawner = _Spawner()
    spawner.start()
    return spawner
