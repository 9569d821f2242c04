"""Folders that a sandbox writes to: giving them to its uid, reading what it left without being led astray."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baleen.environments.sandbox.command import SANDBOX_ID, drops_uid
from baleen.environments.sandbox.limits import MountError


def hand_over(path: Path) -> None:
    """Give a folder (or file) and all in it to the sandbox's uid. Does nothing unless we are root.

    Follows no links, so that a program at work in the folder cannot have other files given to it.
    """
    if not drops_uid():
        return
    os.chown(path, SANDBOX_ID, SANDBOX_ID, follow_symlinks=False)
    if not path.is_dir() or path.is_symlink():
        return
    for _, folders, files, fd in os.fwalk(path, follow_symlinks=False):
        for name in (*folders, *files):
            if os.stat(name, dir_fd=fd, follow_symlinks=False).st_uid != SANDBOX_ID:
                os.chown(name, SANDBOX_ID, SANDBOX_ID, dir_fd=fd, follow_symlinks=False)


@contextmanager
def workspace(parent: Path | None = None) -> Iterator[Path]:
    """A new empty folder that sandboxes may write to, removed at the end whoever its files belong to."""
    path = Path(os.path.realpath(tempfile.mkdtemp(prefix="sandbox-", dir=parent)))
    try:
        hand_over(path)
        yield path
    finally:
        remove(path)


def remove(path: Path) -> None:
    """Remove a folder that a sandbox has written to, also folders that it has made unreadable."""
    os.chmod(path, 0o700)
    for _, folders, _, fd in os.fwalk(path, follow_symlinks=False):
        for name in folders:
            if not stat.S_ISLNK(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                os.chmod(name, 0o700, dir_fd=fd)
    shutil.rmtree(path)


def read_inside(folder: Path, name: str, most: int = 16 << 20) -> bytes:
    """Content of the file `name` below a folder that a sandbox has written to, at most `most` bytes of it.

    Every step is opened without following links, and only a plain file is read: a link out, a pipe that never
    answers or a huge file are not taken. Raises FileNotFoundError, MountError for the rest.
    """
    parts = Path(name).parts
    if not parts or Path(name).is_absolute() or ".." in parts:
        raise MountError(f"{name!r}: give a path below {folder}")
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    fd = os.open(folder, flags | os.O_DIRECTORY)
    try:
        for n, part in enumerate(parts):
            last = n == len(parts) - 1
            try:
                inner = os.open(part, flags | (0 if last else os.O_DIRECTORY), dir_fd=fd)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise MountError(f"{name!r} in {folder}: {error.strerror}; not a plain file") from error
            os.close(fd)
            fd = inner
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            raise MountError(f"{name!r} in {folder}: not a plain file of at most {most} bytes")
        with os.fdopen(fd, "rb") as file:
            fd = -1
            return file.read(most)
    finally:
        if fd >= 0:
            os.close(fd)
