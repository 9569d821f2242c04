"""The record of a synthesis: one line per candidate, kept or rejected, so that a killed run goes on without loss.

A run is a folder: `settings.json` (what was asked for), `candidates.jsonl` (the journal, appended and synced line
by line), `tasks.jsonl` (the kept tasks, derived from the journal), and whatever the kind adds under `assets/`.
A candidate is the unit of work: its tasks are in its one line or nowhere, so none is half-written.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from baleen.environments import Task
from baleen.runs.files import write_atomic
from baleen.runs.jsonl import JsonlFile, read_lines

_NAME = "candidates.jsonl"


@dataclass(frozen=True)
class Verdict:
    """What became of one candidate.

    candidate: its name, unique in the run and equal in every run with the same settings. group: the row of the
    table of yields it counts in. tasks: what is kept, empty when rejected. reason: why it was rejected, a few
    words that many candidates share; detail: what exactly, for a reader. seconds: its work. usage: tokens and
    dollars that models took (`prompt_tokens`, `completion_tokens`, `dollars`). facts: numbers worth a column.
    """

    candidate: str
    group: str
    tasks: tuple[Task, ...] = ()
    reason: str = ""
    detail: str = ""
    seconds: float = 0.0
    usage: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        assert bool(self.tasks) != bool(self.reason), "a candidate is kept or has a reason"


class Journal:
    """The journal of the run in `folder`, locked for one writer; a context manager."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """Open or create. Raises UserError when the folder belongs to other settings or is in use, OSError."""
        self.folder = folder
        self._lines = JsonlFile(folder, _NAME, settings)
        self.verdicts: list[Verdict] = [_verdict(row) for row in self._lines.rows()]
        self.done = {verdict.candidate for verdict in self.verdicts}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.__exit__(kind, error, trace)

    def add(self, verdict: Verdict) -> None:
        """Append one verdict; when this returns it survives a power cut."""
        assert verdict.candidate not in self.done, f"{verdict.candidate} is already in the journal"
        self._lines.append(asdict(verdict) | {"tasks": [task.to_row() for task in verdict.tasks]})
        self.verdicts.append(verdict)
        self.done.add(verdict.candidate)

    def write_tasks(self) -> Path:
        """Write `tasks.jsonl`, all kept tasks in the order of their candidates' names."""
        ordered = sorted(self.verdicts, key=lambda verdict: verdict.candidate)
        rows = [json.dumps(task.to_row(), ensure_ascii=False) for v in ordered for task in v.tasks]
        path = self.folder / "tasks.jsonl"
        write_atomic(path, "".join(row + "\n" for row in rows))
        return path


def read_verdicts(folder: Path) -> list[Verdict]:
    """The verdicts of the run in `folder`, in the order they came."""
    return [_verdict(row) for row in read_lines(folder / _NAME)]


def _verdict(row: dict[str, Any]) -> Verdict:
    return Verdict(**row | {"tasks": tuple(Task.from_row(task) for task in row["tasks"])})
