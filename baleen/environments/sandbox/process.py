"""Running a sandbox's command: the pipes, the limits that we keep, and the end of the whole tree."""

import errno
import json
import os
import select
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import IO, Self

from baleen.environments.sandbox.command import Setting, Tools, sandbox_command
from baleen.environments.sandbox.limits import Ended, Outcome
from baleen.environments.sandbox.spawner import spawn
from baleen.environments.sandbox.watch import PAUSE, Watch, children
from baleen.environments.task import ToolFailure

_GRACE = 5.0  # seconds for the kernel to end a tree after SIGKILL
_REAPING = 0.1  # seconds for its parent to notice
_CHUNK = 1 << 16
_KEPT_ERRORS = 1 << 16  # bytes
# What unshare of util-linux 2.38 says, with exit code 1, when its child has been killed.
_NOISE = b"unshare: sigprocmask unblock failed: Invalid argument\n"
_KILLED = 128 + signal.SIGKILL


class Tree:
    """A program in its sandbox, and all that it starts. `stdin`, `stdout`, `stderr`: unbuffered binary pipes.

    `reason`: the limit for which we killed it, "" if we did not.
    """

    def __init__(self, tools: Tools, setting: Setting, argv: Sequence[str]) -> None:
        self._status, status_end = os.pipe()
        command, fds = sandbox_command(tools, setting, argv, status_end)
        try:
            self._process = spawn(command, (*fds, status_end))
        except BaseException:
            os.close(self._status)
            raise
        finally:
            for fd in (*fds, status_end):
                os.close(fd)
        os.set_blocking(self._status, False)
        process = self._process
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        self.stdin: IO[bytes] = process.stdin
        self.stdout: IO[bytes] = process.stdout
        self.stderr: IO[bytes] = process.stderr
        self.reason = ""
        self._killed = False
        self._watch = Watch([m.source for m in setting.mounts if m.writable], setting.limits)
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """Of the outermost process on this machine."""
        return self._process.pid

    def poll(self) -> int | None:
        """The return code, 128 + n after signal n, or None while the program runs."""
        code = self._process.poll()
        return code if code is None else self._code(code)

    def wait(self, timeout: float | None = None) -> int:
        """The return code. Raises subprocess.TimeoutExpired."""
        return self._code(self._process.wait(timeout))

    def _code(self, code: int) -> int:
        return _KILLED if self._killed else 128 - code if code < 0 else code

    def kill(self, reason: str = "") -> None:
        """End every process of the sandbox and wait until they are gone. Harmless when repeated."""
        with self._lock:
            if self._process.poll() is None:
                self.reason, self._killed = reason, True
                self._kill()

    def close(self) -> None:
        """`kill`, and give the pipes back."""
        self.kill()
        for pipe in (self.stdin, self.stdout, self.stderr):
            with suppress(OSError):
                pipe.close()
        with self._lock:
            if self._status >= 0:
                os.close(self._status)
                self._status = -1

    def check(self) -> None:
        """Kill the program if it goes over a limit that only we can see."""
        init = self._init()
        if init is not None and (reason := self._watch.over(init)):
            self.kill(reason)

    def has_run(self) -> bool:
        """Once it has ended: whether the program has ended, as bubblewrap tells, and not what starts it."""
        told = b""
        with suppress(BlockingIOError):
            while self._status >= 0 and (piece := os.read(self._status, _CHUNK)):
                told += piece
        return any("exit-code" in json.loads(line) for line in told.splitlines())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _kill(self) -> None:
        """Kill the namespace's init, which is not gone before all others in it are, then its parent."""
        deadline = time.monotonic() + _GRACE
        while (init := self._init()) is None and self._process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        if init is not None:
            _end(init)
            with suppress(subprocess.TimeoutExpired):  # its parent may hang on a full pipe
                self._process.wait(_REAPING)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _init(self) -> int | None:
        """Process id of the namespace's init as seen from here; None while there is none. It is an only child."""
        return next(children(self.pid), None)


def _end(init: int) -> None:
    """Kill a process and wait until it is gone."""
    with suppress(ProcessLookupError):
        ending = os.pidfd_open(init)
        try:
            signal.pidfd_send_signal(ending, signal.SIGKILL)
            waiting = select.poll()
            waiting.register(ending, select.POLLIN)
            waiting.poll(_GRACE * 1000)
        finally:
            os.close(ending)


class SandboxProcess(Tree):
    """A long-lived program: its stderr is read, its limits are watched, by a thread of ours.

    `errors`: the end of its stderr so far.
    """

    def __init__(self, tools: Tools, setting: Setting, argv: Sequence[str]) -> None:
        super().__init__(tools, setting, argv)
        self.errors = b""
        self._over = threading.Event()
        self._attendant = threading.Thread(target=self._attend, name="sandbox-attendant", daemon=True)
        self._attendant.start()

    def close(self) -> None:
        """`kill`, and give the pipes back."""
        self.kill()
        self._over.set()
        self._attendant.join(_GRACE)
        super().close()

    def _attend(self) -> None:
        open_ = True
        with selectors.DefaultSelector() as selector:
            selector.register(self.stderr, selectors.EVENT_READ)
            while open_ or self.poll() is None:
                if not open_:
                    self._over.wait(PAUSE)
                elif selector.select(PAUSE):
                    piece = os.read(self.stderr.fileno(), _CHUNK)
                    self.errors = (self.errors + piece)[-_KEPT_ERRORS:].removesuffix(_NOISE)
                    open_ = bool(piece)
                self.check()


def run_to_end(tools: Tools, setting: Setting, argv: Sequence[str], stdin: bytes) -> Outcome:
    """Run a program until it ends or goes over a limit. Raises ToolFailure when it could not be started."""
    begun = time.monotonic()
    limits = setting.limits
    try:
        tree = Tree(tools, setting, argv)
    except (ValueError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.E2BIG:
            raise
        # Arguments that no program can be given (too long, a NUL): whoever wrote them gets a shell's answer.
        return Outcome(126, b"", f"cannot be run: {error}\n".encode(), "exit", 0.0)
    with tree as process, closing(_Pipes(process, stdin, limits.output_bytes)) as pipes:
        ended: Ended = "exit"
        while pipes.alive:
            left = begun + limits.wall_seconds - time.monotonic()
            if left <= 0:
                ended = "wall"
                process.kill(f"it ran for {limits.wall_seconds:g} seconds")
                break
            pipes.move(min(left, PAUSE))
            if pipes.overflow:
                break
            process.check()
        if pipes.overflow:
            ended = "output"
            process.kill(f"it wrote more than {limits.output_bytes} bytes")
        pipes.read_rest()
        code = process.wait()
        stdout, stderr = pipes.caught()
        if ended == "exit" and pipes.overflow:
            ended = "output"
        if not process.has_run() and not process.reason:
            raise ToolFailure(f"the sandbox did not start: {_first_line(stderr) or f'exit code {code}'}")
        if ended == "exit" and code > 128:
            ended = "killed"
        return Outcome(code, stdout, stderr, ended, time.monotonic() - begun, process.reason)


def _first_line(text: bytes) -> str:
    return text.decode(errors="replace").strip().partition("\n")[0]


class _Pipes:
    """The three pipes of a program that we feed and read at once."""

    def __init__(self, process: Tree, stdin: bytes, most: int) -> None:
        self._stdin, self._left, self._most = process.stdin, memoryview(stdin), most
        self._read = {pipe.fileno(): bytearray() for pipe in (process.stdout, process.stderr)}
        self._selector = selectors.DefaultSelector()
        self._ending = os.pidfd_open(process.pid)
        self.alive = True
        for fd in (self._ending, *self._read):
            self._selector.register(fd, selectors.EVENT_READ)
        os.set_blocking(self._stdin.fileno(), False)
        self._selector.register(self._stdin, selectors.EVENT_WRITE)

    @property
    def overflow(self) -> bool:
        return sum(map(len, self._read.values())) > self._most

    def move(self, seconds: float) -> None:
        """Move what is there to move, waiting no longer than this for something."""
        for key, _ in self._selector.select(seconds):
            if key.fd == self._ending:
                self.alive = False
            elif key.fd in self._read:
                piece = os.read(key.fd, _CHUNK)
                self._read[key.fd] += piece
                if not piece:
                    self._selector.unregister(key.fd)
            else:
                self._feed()

    def _feed(self) -> None:
        try:
            self._left = (
                self._left[os.write(self._stdin.fileno(), self._left[:_CHUNK]) :]
                if self._left
                else self._left
            )
        except BrokenPipeError:
            self._left = self._left[:0]  # it reads no more
        if not self._left:
            self._selector.unregister(self._stdin)
            self._stdin.close()

    def read_rest(self) -> None:
        """What a program that has ended left in the pipes."""
        for fd, text in self._read.items():
            os.set_blocking(fd, False)
            with suppress(BlockingIOError):
                while not self.overflow and (piece := os.read(fd, _CHUNK)):
                    text += piece

    def caught(self) -> tuple[bytes, bytes]:
        """stdout and stderr, cut to the cap together."""
        out, err = (bytes(text) for text in self._read.values())
        out, err = out[: self._most], err.removesuffix(_NOISE)
        return out, err[: self._most - len(out)]

    def close(self) -> None:
        self._selector.close()
        os.close(self._ending)
