"""Running a sandbox's command: the pipes, the wall time, the cap on output, and the end of the whole tree."""

import json
import os
import queue
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from typing import IO

from baleen.environments.sandbox.command import Setting, Tools, sandbox_command
from baleen.environments.sandbox.limits import Ended, Outcome, SandboxLimits

_GRACE = 5.0  # seconds for the kernel to end a tree after SIGKILL
_CHUNK = 1 << 16
_KEPT_ERRORS = 1 << 16  # bytes


class SandboxProcess:
    """A program in its sandbox. `stdin`, `stdout`: unbuffered binary pipes.

    For a long-lived one (`Sandbox.start`) the caller reads `stdout` and decides when it has been long enough; the
    end of stderr is kept in `errors`.
    """

    def __init__(self, command: Sequence[str], fds: Sequence[int], info: tuple[int, int], drain: bool) -> None:
        self._info, info_end = info
        try:
            self._process = _spawn(command, (*fds, info_end))
        finally:
            for fd in (*fds, info_end):
                os.close(fd)
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self.stdin: IO[bytes] = process.stdin
        self.stdout: IO[bytes] = process.stdout
        self.stderr: IO[bytes] = process.stderr
        self.errors = b""
        self._lock = threading.Lock()
        self._drainer = threading.Thread(target=self._drain, daemon=True) if drain else None
        if self._drainer:
            self._drainer.start()

    @property
    def pid(self) -> int:
        """Of the outermost process on this machine."""
        return self._process.pid

    def poll(self) -> int | None:
        """The return code, 128 + n after signal n, or None while the program runs."""
        code = self._process.poll()
        return 128 - code if code is not None and code < 0 else code

    def wait(self, timeout: float | None = None) -> int:
        """The return code. Raises subprocess.TimeoutExpired."""
        code = self._process.wait(timeout)
        return 128 - code if code < 0 else code

    def kill(self) -> None:
        """End every process of the sandbox and wait until they are gone. Harmless when repeated."""
        with self._lock:
            if self._process.poll() is None:
                self._kill()

    def close(self) -> None:
        """`kill`, and give the pipes back."""
        self.kill()
        if self._drainer:
            self._drainer.join(_GRACE)
        for pipe in (self.stdin, self.stdout, self.stderr):
            with suppress(OSError):
                pipe.close()
        with self._lock:
            if self._info >= 0:
                os.close(self._info)
                self._info = -1

    def __enter__(self) -> "SandboxProcess":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _kill(self) -> None:
        """Kill the namespace's init: the kernel then kills the rest, and bubblewrap ends only after all of them."""
        init = self._init()
        if init:
            with suppress(ProcessLookupError):
                os.kill(init, signal.SIGKILL)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _init(self) -> int | None:
        """Process id of the namespace's init on this machine; None if there is none yet."""
        told = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._info, selectors.EVENT_READ)
            while selector.select(_GRACE):
                piece = os.read(self._info, 4096)
                told += piece
                if not piece or told.rstrip().endswith(b"}"):
                    break
        with suppress(ValueError, KeyError):
            return int(json.loads(told)["child-pid"])
        return None

    def _drain(self) -> None:
        with suppress(OSError, ValueError):
            while piece := os.read(self.stderr.fileno(), _CHUNK):
                self.errors = (self.errors + piece)[-_KEPT_ERRORS:]


def launch(tools: Tools, setting: Setting, argv: Sequence[str], drain: bool) -> SandboxProcess:
    """Start a program in a new sandbox. drain: keep reading its stderr, for a caller that does not."""
    info = os.pipe()
    command, fds = sandbox_command(tools, setting, argv, info[1])
    return SandboxProcess(command, fds, info, drain)


def supervise(process: SandboxProcess, stdin: bytes, limits: SandboxLimits) -> Outcome:
    """Feed and read a program until it ends or goes over the wall time or the output; closes it."""
    begun = time.monotonic()
    caught: dict[int, bytearray] = {p.fileno(): bytearray() for p in (process.stdout, process.stderr)}
    out, err = process.stdout.fileno(), process.stderr.fileno()
    ended: Ended = "exit"
    waiting = os.pidfd_open(process.pid)
    try:
        with selectors.DefaultSelector() as selector:
            for fd in (waiting, *caught):
                selector.register(fd, selectors.EVENT_READ)
            left = memoryview(stdin)
            os.set_blocking(process.stdin.fileno(), False)
            if left:
                selector.register(process.stdin, selectors.EVENT_WRITE)
            else:
                process.stdin.close()
            alive = True
            while alive:
                seconds = begun + limits.wall_seconds - time.monotonic()
                if seconds <= 0:
                    ended = "wall"
                    break
                for key, _ in selector.select(seconds):
                    if key.fd == waiting:
                        alive = False
                    elif key.fd in caught:
                        piece = os.read(key.fd, _CHUNK)
                        caught[key.fd] += piece
                        if not piece:
                            selector.unregister(key.fd)
                    else:
                        left = _feed(process, left)
                        if not left:
                            selector.unregister(process.stdin)
                            process.stdin.close()
                if sum(map(len, caught.values())) > limits.output_bytes:
                    ended = "output"
                    break
        process.kill()
        for fd, text in caught.items():
            _read_rest(fd, text, limits.output_bytes)
        code = process.wait()
    finally:
        os.close(waiting)
        process.close()
    if ended == "exit" and sum(map(len, caught.values())) > limits.output_bytes:
        ended = "output"
    if ended == "exit" and code > 128:
        ended = "killed"
    stdout = bytes(caught[out][: limits.output_bytes])
    stderr = bytes(caught[err][: limits.output_bytes - len(stdout)])
    return Outcome(code, stdout, stderr, ended, time.monotonic() - begun)


def _feed(process: SandboxProcess, left: memoryview) -> memoryview:
    """Write what the pipe takes; nothing is left to write when the program reads no more."""
    try:
        return left[os.write(process.stdin.fileno(), left[:_CHUNK]) :]
    except BrokenPipeError:
        return left[:0]


def _read_rest(fd: int, text: bytearray, most: int) -> None:
    """What a program that has ended left in the pipe."""
    os.set_blocking(fd, False)
    with suppress(BlockingIOError):
        while len(text) <= most and (piece := os.read(fd, _CHUNK)):
            text += piece


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
            except BaseException as error:
                future.set_exception(error)

    def spawn(self, command: Sequence[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
        future: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((command, fds, future))
        return future.result()


def _popen(command: Sequence[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
    pipe = subprocess.PIPE
    # Nothing of our environment: the sandboxed program can read that of bubblewrap's init.
    env = {"PATH": "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"}
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, env=env, cwd="/", pass_fds=tuple(fds)
    )


def _spawn(command: Sequence[str], fds: Sequence[int]) -> subprocess.Popen[bytes]:
    return _spawner(os.getpid()).spawn(command, fds)


@cache
def _spawner(pid: int) -> _Spawner:
    """One for each process: threads do not survive a fork."""
    spawner = _Spawner()
    spawner.start()
    return spawner
