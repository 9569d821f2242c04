"""Select the tasks of a run, and store them beside its trajectories so that these can be replayed."""

import json
from collections.abc import Sequence
from itertools import islice, zip_longest
from pathlib import Path

from baleen.config import UserError
from baleen.environments import Task, read_tasks
from baleen.runs.files import write_atomic, write_json

_TASKS, _PLACES = "tasks.jsonl", "places.json"


def tasks_to_play(path: Path, count: int | None = None) -> Sequence[Task]:
    """Read the tasks of a file, all of them or the first ones of each family in turn.

    Args:
        path: a file of tasks, one a line, as `baleen synth` writes them.
        count: how many tasks to take; None for all. Taking more adds to what fewer would give.

    Raises:
        UserError: the file holds no task, a line that is none, or two tasks with one id among those taken.
    """
    tasks = first_of_each_family(read_tasks(path), count)
    if not tasks:
        raise UserError(f"{path} holds no task")
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise UserError(f"two tasks have the id {task.id!r}; give every task its own")
        seen.add(task.id)
    return tasks


def first_of_each_family(tasks: Sequence[Task], count: int | None) -> Sequence[Task]:
    """Take `count` tasks, one from each family in turn, so that a mixed file is well represented. None takes all."""
    if count is None:
        return tasks
    families: dict[tuple[str, str], list[Task]] = {}
    for task in tasks:
        families.setdefault((task.domain, task.family), []).append(task)
    in_turn = (task for turn in zip_longest(*families.values()) for task in turn if task is not None)
    return list(islice(in_turn, count))


def assets_of(tasks: Path, given: Path | None = None) -> Path | None:
    """The folder of the tasks' assets: the one given, or `assets` beside the file of tasks if it exists.

    Raises:
        UserError: the given folder does not exist.
    """
    if given is not None:
        if not given.is_dir():
            raise UserError(
                f"--assets is {given}, which is not a folder; give the folder of the tasks' assets"
            )
        return given
    beside = tasks.parent / "assets"
    return beside if beside.is_dir() else None


def keep_tasks(folder: Path, tasks: Sequence[Task], assets: Path | None) -> None:
    """Add to the run in `folder` the tasks that it lacks, and note where the assets are.

    Raises:
        UserError: the run was played with another task of the same id.
        OSError: the folder cannot be written.
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
    """The tasks of the run in `folder`. Raises UserError for a damaged line."""
    path = folder / _TASKS
    return read_tasks(path) if path.exists() else []


def kept_assets(folder: Path) -> Path | None:
    """Folder of the assets when the run was last played; None if it had none."""
    path = folder / _PLACES
    noted = json.loads(path.read_text(encoding="utf-8"))["assets"] if path.exists() else None
    return Path(noted) if noted else None
