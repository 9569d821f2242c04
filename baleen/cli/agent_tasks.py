"""The tasks of a run of `baleen agent`: kept beside its trajectories, so that they can be played again."""

import json
from collections.abc import Sequence
from itertools import islice, zip_longest
from pathlib import Path

from baleen.config import UserError
from baleen.environments import Task, read_tasks
from baleen.runs.files import write_atomic, write_json

_TASKS, _PLACES = "tasks.jsonl", "places.json"


def first_of(tasks: Sequence[Task], count: int | None) -> Sequence[Task]:
    """`count` tasks, one from each family in turn, so that a mixed file is not judged by its first family. None: all.

    A larger count only adds to a smaller one.
    """
    if count is None:
        return tasks
    families: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        families.setdefault((task.domain, task.family), []).append(task)
    in_turn = (task for turn in zip_longest(*families.values()) for task in turn if task is not None)
    return list(islice(in_turn, count))


def unique(tasks: Sequence[Task]) -> Sequence[Task]:
    """`tasks` as they are. Raises UserError when two have one id: their episodes could not be told apart."""
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise UserError(f"two tasks have the id {task.id!r}; give every task its own")
        seen.add(task.id)
    return tasks


def assets_of(given: Path | None, tasks: Path) -> Path | None:
    """The folder of the tasks' assets, if there is one. Raises UserError for a given one that does not exist."""
    if given is not None:
        if not given.is_dir():
            raise UserError(f"--assets is {given}, which is no folder")
        return given
    beside = tasks.parent / "assets"
    return beside if beside.is_dir() else None


def keep_tasks(folder: Path, tasks: Sequence[Task], assets: Path | None) -> None:
    """Add to the run in `folder` the tasks that it lacks, and note where the assets are.

    Raises UserError when the run has another task of the same id, OSError.
    """
    kept = {task.id: json.dumps(task.to_row()) for task in kept_tasks(folder)}
    for task in tasks:
        row = json.dumps(task.to_row())
        if kept.setdefault(task.id, row) != row:
            raise UserError(
                f"{folder} was played with another task {task.id!r}; choose another --out for these tasks"
            )
    write_atomic(folder / _TASKS, "".join(row + "\n" for row in kept.values()))
    write_json(folder / _PLACES, {"assets": str(assets.resolve()) if assets else None})


def kept_tasks(folder: Path) -> list[Task]:
    """The tasks of the run in `folder`. Raises UserError."""
    path = folder / _TASKS
    return read_tasks(path) if path.exists() else []


def kept_assets(folder: Path) -> Path | None:
    """Where the assets of the run's tasks were when it was last played."""
    path = folder / _PLACES
    noted = json.loads(path.read_text(encoding="utf-8"))["assets"] if path.exists() else None
    return Path(noted) if noted else None
