"""A run is a folder: `{resolved.toml, environment.json, metrics.jsonl, log.txt, checkpoints/, stages/}`.

Opening the same folder again resumes it. One process at a time may hold it; a different configuration is
refused. Everything but the two append-only files is replaced as a whole, so no moment leaves half a file.
"""

import json
import math
import os
import time
import tomllib
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import BaseModel

from baleen.config.errors import UsageError, UserError
from baleen.config.toml_file import dump_toml, flatten
from baleen.runs.files import write_atomic, write_json
from baleen.runs.jsonl import cut_torn_line, read_lines
from baleen.runs.lock import check_same_settings, lock_folder
from baleen.runs.machine import describe


class RunFolder:
    """The open folder of one run; use it as a context manager, so that an error's traceback lands in `log.txt`.

    Attributes:
        path: the folder.
        checkpoints: the folder of the checkpoints inside it.
        stages: the folder of the stages' records inside it.
        resumed: whether the folder already held a run.
    """

    def __init__(self, path: Path, config: BaseModel, *, seed: int, threads: int) -> None:
        """Open or create the folder; one that was created is removed again if that fails.

        Args:
            path: the folder.
            config: what the run must have in common with an earlier session, kept in `resolved.toml`.
            seed: kept in `environment.json`.
            threads: kept in `environment.json`.

        Raises:
            UsageError: `path` is a file, holds something else, or holds a run with another configuration.
            UserError: another process has the run open, or a line of its metrics is damaged.
            OSError: the folder cannot be written.
        """
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.stages = path / "stages"
        made = _make_folder(path)
        self._lock = -1
        try:
            self._lock = lock_folder(path)
            self.resumed = (path / "resolved.toml").exists()
            self._settle(config, made)
            self.checkpoints.mkdir(exist_ok=True)
            self.stages.mkdir(exist_ok=True)
            self._record_environment(describe(seed, threads))
            cut_torn_line(path / "metrics.jsonl")
            self.metrics()  # a damaged line is found here, not hours later
            self._metrics = open(path / "metrics.jsonl", "a", encoding="utf-8")  # noqa: SIM115 (closed in close)
            self._log = open(path / "log.txt", "a", encoding="utf-8")  # noqa: SIM115
        except BaseException:
            self._abandon(made)
            raise
        self.log("resumed" if self.resumed else "started")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is not None:
                with suppress(OSError):  # a full disk must not hide the error that it caused
                    self._note(error)
        finally:
            self.close()

    def close(self) -> None:
        """Close the files and let other processes have the run."""
        with suppress(OSError):
            self._metrics.close()
        with suppress(OSError):
            self._log.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def log(self, text: str) -> None:
        """Append one dated line to `log.txt`. Line breaks in `text` are escaped, so no text can forge a line."""
        line = text.replace("\\", "\\\\").replace("\r", "\\r").replace("\n", "\\n")
        self._log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        self._log.flush()

    def log_metrics(self, stage: str, step: int, **scalars: float) -> None:
        """Append a line to `metrics.jsonl` and flush it. Numbers that are not finite become null."""
        line: dict[str, Any] = {"stage": stage, "step": step}
        line |= {name: _number(value) for name, value in scalars.items()}
        self._metrics.write(json.dumps(line, allow_nan=False) + "\n")
        self._metrics.flush()

    def truncate_metrics(self, stage: str, step: int) -> None:
        """Remove what `stage` logged after `step`: a resumed stage will log those steps again."""
        lines = self.metrics()
        kept = [line for line in lines if line["stage"] != stage or line["step"] <= step]
        if len(kept) == len(lines):
            return
        self._metrics.close()
        path = self.path / "metrics.jsonl"
        try:
            write_atomic(path, "".join(json.dumps(line) + "\n" for line in kept))
        finally:
            self._metrics = open(path, "a", encoding="utf-8")  # noqa: SIM115 (closed in close)

    def metrics(self) -> list[dict[str, Any]]:
        """All lines of `metrics.jsonl`, in order.

        Raises:
            UserError: a line is damaged.
        """
        return list(read_lines(self.path / "metrics.jsonl", ("stage", "step")))

    def write_stage(self, stage: str, result: Mapping[str, Any]) -> None:
        """Record in `stages/STAGE.json` that `stage` has finished, with its result."""
        write_json(self.stages / f"{stage}.json", result)

    def read_stage(self, stage: str) -> dict[str, Any] | None:
        """What `write_stage` recorded; None before the stage has finished.

        Raises:
            UserError: the record is damaged.
        """
        path = self.stages / f"{stage}.json"
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            raise UserError(f"{path} is damaged; delete it to run the stage again") from None

    def _settle(self, config: BaseModel, made: list[Path]) -> None:
        """Write the configuration of a new run, or compare it with that of the run found here."""
        path = self.path / "resolved.toml"
        text = dump_toml(config)
        if not self.resumed:
            strange = [entry.name for entry in self.path.iterdir() if entry.name != ".lock"]
            if strange and not made:
                raise UsageError(
                    f"{self.path} holds {min(strange)!r} but no run; choose a new or empty folder with --out"
                )
            write_atomic(path, text)
            return
        try:
            before = flatten(tomllib.loads(path.read_text(encoding="utf-8")))
        except ValueError:
            raise UserError(f"{path} is damaged; delete {self.path} or give another --out") from None
        check_same_settings(self.path, before, flatten(tomllib.loads(text)))

    def _record_environment(self, facts: dict[str, Any]) -> None:
        """Keep this session's facts; where an earlier session's differ, keep those too, under `earlier`."""
        path = self.path / "environment.json"
        earlier: list[Any] = []
        if path.exists():
            with suppress(ValueError):
                before = json.loads(path.read_text(encoding="utf-8"))
                earlier = before.pop("earlier", [])
                if before != facts:
                    earlier.append(before)
        write_json(path, facts | ({"earlier": earlier} if earlier else {}))

    def _note(self, error: BaseException) -> None:
        """Log what ended the run; for an error that the user did not cause, the traceback too."""
        self.log(f"ended by {type(error).__name__}: {error}")
        expected = isinstance(error, UserError | OSError | KeyboardInterrupt | SystemExit)
        if not expected:
            self._log.write("".join(traceback.format_exception(error)))
            self._log.flush()
            error.add_note(f"the traceback is in {self.path / 'log.txt'}")
        elif isinstance(error, KeyboardInterrupt):
            error.add_note("the same command goes on from the last checkpoint")

    def _abandon(self, made: list[Path]) -> None:
        """Undo a construction that failed: close the lock; remove what a new folder holds, and the folder."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if not made:
            return
        with suppress(OSError):
            for name in ("environment.json", "resolved.toml", "metrics.jsonl", "log.txt", ".lock"):
                (self.path / name).unlink(missing_ok=True)
            for folder in (self.checkpoints, self.stages):
                if folder.exists():
                    folder.rmdir()
            for folder in reversed(made):
                folder.rmdir()


def _make_folder(path: Path) -> list[Path]:
    """Make `path` and what is missing above it, or nothing. Returns the folders made, outermost first."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    made: list[Path] = []
    try:
        for folder in reversed(missing):
            folder.mkdir()
            made.append(folder)
    except OSError:
        for folder in reversed(made):
            folder.rmdir()
        raise
    if not path.is_dir():
        raise UsageError(f"{path} is a file; choose a folder for the run with --out")
    return made


def _number(value: float) -> float | int | None:
    number = value if isinstance(value, int) else float(value)
    return number if math.isfinite(number) else None
