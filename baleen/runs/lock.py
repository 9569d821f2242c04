"""Locks a run folder for one process, and checks that a resumed run has the same settings."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baleen.config.errors import UsageError, UserError


def lock_folder(folder: Path) -> int:
    """Lock a folder for this process.

    Returns:
        The descriptor of an open file that holds the lock; the system drops the lock when the process dies.

    Raises:
        UserError: another process holds it.
        OSError: the folder cannot be written.
    """
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(handle, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(handle)
        raise UserError(
            f"{folder} is in use by process {holder}; wait until it ends, or choose another folder with --out"
        ) from None
    except OSError:
        os.close(handle)
        raise
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def check_same_settings(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Check that a run continues with the settings it was started with.

    Raises:
        UsageError: a setting differs; the message names the first one.
    """
    for key in [*now, *before]:
        old, new = before.get(key, "unset"), now.get(key, "unset")
        if old != new:
            raise UsageError(
                f"{folder} was started with {key} = {old!r} and now has {new!r}; "
                f"go back to {old!r} to resume it, or choose another folder with --out"
            )
