"""Files that are whole or absent: written beside the target, synced, renamed, and the folder synced.

A process killed, or a disk filled, at any moment leaves the old file or the new one, never a part.
"""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


def write_atomic(path: Path, text: str) -> None:
    """Replace the content of a file by `text`, as a whole.

    Raises:
        OSError: the disk is full or read-only; `path` is unchanged, and nothing is left beside it.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        write_synced(partial, text.encode())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
    sync_folder(path.parent)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace the content of a file by `value` as indented JSON.

    Raises:
        OSError: as in `write_atomic`.
    """
    write_atomic(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def write_synced(path: Path, data: bytes) -> None:
    """Write `path` and wait until its content is on the disk; its name is durable after `sync_folder`."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(path: Path) -> None:
    """Make the names in `path` durable: without it a rename can be lost in a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
