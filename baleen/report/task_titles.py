"""What a list of episodes calls a task: its question and its kind, since an id may be a hash."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baleen.agent import Trajectory
from baleen.config.errors import UserError
from baleen.runs.jsonl import read_lines

_LONGEST = 140  # characters of a question


@dataclass(frozen=True)
class TaskTitle:
    """question: the start of what was asked, on one line. kind: package, family and difficulty, or "" if not known."""

    question: str
    kind: str


def kinds_of(run: Path) -> dict[str, str]:
    """Task id -> kind, of the tasks that the run keeps beside its trajectories. Raises UserError, OSError."""
    path = run / "tasks.jsonl"
    if not path.exists():
        return {}
    try:
        return {row["id"]: _kind(row) for row in read_lines(path)}
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise UserError(f"{path} holds something that is no task ({error!r})") from None


def title_of(played: Trajectory, kinds: Mapping[str, str]) -> TaskTitle:
    """The episode's question is its first user message; without one, the task's id stands for it."""
    asked = next((str(m.get("content") or "") for m in played.messages if m["role"] == "user"), "")
    line = " ".join(asked.split()) or played.task_id
    return TaskTitle(
        line if len(line) <= _LONGEST else f"{line[:_LONGEST].rstrip()}…", kinds.get(played.task_id, "")
    )


def _kind(row: Mapping[str, Any]) -> str:
    package = row["data"].get("package")
    parts = [package] if package else []
    return " · ".join([*parts, f"{row['family']} d{row['difficulty']}"])
