"""What the sandbox's tests share: running a hostile Python program inside, and what it prints."""

import sys
from pathlib import Path

from baleen.environments.sandbox import Mount, Outcome, Sandbox, SandboxLimits, python_mounts

SMALL = SandboxLimits(
    memory_bytes=512 << 20,
    cpu_seconds=20,
    processes=12,
    tmp_bytes=4 << 20,
    tmp_files=64,
    output_bytes=1 << 16,
    wall_seconds=20.0,
)

# `told(f)`: "done" or the name of the errno with which it failed. `system(name, ...)`: the same for a C function.
_HELPERS = """
import ctypes, errno, mmap, os, signal, socket, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
def told(attempt, *arguments):
    try:
        attempt(*arguments)
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    return "done"
def system(name, *arguments):
    ctypes.set_errno(0)
    if isinstance(name, int):
        name, arguments = "syscall", (ctypes.c_long(name), *arguments)
    result = getattr(libc, name)(*arguments)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "done"
def shown(path):
    with open(path) as file:
        return file.read()
"""


def attack(
    program: str,
    *mounts: Mount,
    limits: SandboxLimits = SMALL,
    stdin: bytes = b"",
    unix_sockets: bool = False,
) -> Outcome:
    """Run a Python program in a new sandbox."""
    sandbox = Sandbox((*python_mounts(), *mounts), limits, unix_sockets=unix_sockets)
    return sandbox.run([sys.executable, "-I", "-S", "-c", _HELPERS + program], stdin)


def words(
    program: str, *mounts: Mount, limits: SandboxLimits = SMALL, unix_sockets: bool = False
) -> list[str]:
    """What a program that must end well has printed."""
    outcome = attack(program, *mounts, limits=limits, unix_sockets=unix_sockets)
    assert (outcome.ended, outcome.returncode) == ("exit", 0), outcome
    return outcome.stdout.decode().split()


def readable(path: Path) -> Path:
    """pytest's temporary folders are closed to other users; a read-only mount must be readable for the sandbox."""
    path.chmod(0o755)
    return path
