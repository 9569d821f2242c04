"""A run that grows line by line: settings once, then JSON lines, each on the disk before the next is written.

A process killed at any moment leaves whole lines and at most a part of one, which is not read, and is cut off when the
run continues.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from baleen.config.errors import UserError
from baleen.runs.files import write_json
from baleen.runs.lock import check_same_settings, lock_folder

_BLOCK = 1 << 16


class JsonlFile:
    """`folder/name` and `folder/settings.json`, locked for one writer; a context manager."""

    def __init__(self, folder: Path, name: str, settings: Mapping[str, Any]) -> None:
        """Open or create the file.

        Args:
            folder: the run's folder.
            name: the file in it.
            settings: what the run must have in common with an earlier session.

        Raises:
            UsageError: the folder holds a run with other settings.
            UserError: another process is writing to the folder.
            OSError: the folder cannot be written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.path = folder / name
        self._lock = lock_folder(folder)
        try:
            _settle(folder, settings)
            cut_torn_line(self.path)
            self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (held open)
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        os.close(self._lock)

    def append(self, row: Mapping[str, Any]) -> None:
        """Add one line; once this returns, it survives a power cut."""
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def rows(self) -> Iterator[dict[str, Any]]:
        """All lines so far."""
        return read_lines(self.path)


def read_lines(path: Path, fields: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """The complete lines of a file; none if it does not exist.

    Args:
        path: the file. A last line that is still being written is left out.
        fields: keys that every line must have.

    Raises:
        UserError: a line is no JSON object or lacks one of `fields`.
    """
    if not path.exists():
        return
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict) or not all(field in row for field in fields):
                raise UserError(f"{path}, line {number} is damaged; delete that line")
            yield row


def cut_torn_line(path: Path) -> None:
    """Cut off a last line that a killed process left unfinished."""
    if not path.exists():
        return
    with open(path, "rb+") as file:
        position = file.seek(0, os.SEEK_END)
        while position:
            start = max(0, position - _BLOCK)
            file.seek(start)
            found = file.read(position - start).rfind(b"\n")
            if found >= 0:
                file.truncate(start + found + 1)
                return
            position = start
        file.truncate(0)


def _settle(folder: Path, settings: Mapping[str, Any]) -> None:
    """Keep the settings of a new run; refuse to continue with others."""
    path = folder / "settings.json"
    wanted = json.loads(json.dumps(settings))
    if not path.exists():
        write_json(path, wanted)
        return
    check_same_settings(folder, json.loads(path.read_text(encoding="utf-8")), wanted)
