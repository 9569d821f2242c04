"""The dataset card of a synthesis: one HTML file that says what was made, what was not and why, and shows examples."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from baleen.environments import Task
from baleen.report.formats import duration, short
from baleen.report.page import template
from baleen.runs.files import write_atomic
from baleen.synthesis.journal import Verdict
from baleen.synthesis.pipeline import Yield, yields

CARD_FILE = "card.html"
_TITLES = {
    "code": "Code tasks",
    "search": "Search tasks",
    "interpreter": "Code-interpreter tasks",
    "general": "Tasks in general environments",
}
_EXAMPLES = 6
_LONGEST_TEXT = 4000  # characters of a message
_LONGEST_DATA = 6000
_REJECTED_SHOWN = 4  # examples per reason


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram.

    Attributes:
        label: what is counted.
        count: how often it occurs.
        share: height, from 0 to 1 for the highest bar.
    """

    label: str
    count: int
    share: float


def write_card(folder: Path, settings: Mapping[str, Any], verdicts: Sequence[Verdict]) -> Path:
    """Write the dataset card of a synthesis beside its tasks: one file that works offline.

    Args:
        folder: the run's folder.
        settings: what the run was started with.
        verdicts: every candidate's fate.

    Returns:
        The path of the card.

    Raises:
        OSError: it cannot be written.
    """
    page = template("card.html.j2", short=short, duration=duration, text=_text)
    path = folder / CARD_FILE
    write_atomic(path, page.render(_contents(folder, settings, verdicts)))
    return path


def _contents(folder: Path, settings: Mapping[str, Any], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    kind = str(settings.get("kind", "tasks"))
    tasks = [task for verdict in verdicts for task in verdict.tasks]
    usage: Counter[str] = Counter()
    for verdict in verdicts:
        usage.update({name: float(value) for name, value in verdict.usage.items()})
    rows = yields(verdicts)
    return {
        "title": _TITLES.get(kind, f"Tasks: {kind}"),
        "kind": kind,
        "name": folder.name,
        "settings": {
            name: _setting(value)
            for name, value in settings.items()
            if name != "kind" and value not in (None, "", [])
        },
        "tasks": len(tasks),
        "candidates": len(verdicts),
        "kept": sum(bool(verdict.tasks) for verdict in verdicts),
        "seconds": sum(verdict.seconds for verdict in verdicts),
        "usage": usage,
        "rows": rows,
        "reasons": _reasons(rows, verdicts),
        "difficulties": bars(Counter(task.difficulty for task in tasks)),
        "families": Counter(task.family for task in tasks).most_common(),
        "splits": Counter(task.split for task in tasks),
        "times": bars(_times(verdicts), keep_order=True),
        "facts": _facts(verdicts),
        "examples": [_example(task) for task in _examples(tasks)],
    }


def bars(counts: Mapping[Any, int], keep_order: bool = False) -> list[Bar]:
    """The bars of a histogram, sorted by label or, with `keep_order`, as they come."""
    top = max(counts.values(), default=0)
    items = list(counts.items()) if keep_order else sorted(counts.items())
    return [Bar(str(label), count, count / top if top else 0.0) for label, count in items]


def _reasons(rows: Sequence[Yield], verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Every reason for rejection with its count, its share of the rejected, and a few details."""
    counts: Counter[str] = Counter()
    for row in rows:
        counts.update(row.reasons)
    details: dict[str, list[str]] = {}
    for verdict in verdicts:
        seen = details.setdefault(verdict.reason, [])
        if verdict.detail and len(seen) < _REJECTED_SHOWN:
            seen.append(f"{verdict.candidate}: {_text(verdict.detail, 300)}")
    total, top = counts.total(), max(counts.values(), default=1)
    return [
        {"reason": r, "count": n, "share": n / total, "bar": n / top, "details": details.get(r, [])}
        for r, n in counts.most_common()
    ]


def _times(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """How many candidates took how long, in steps of a factor of about three."""
    edges = (0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
    labels = [f"≤ {edge:g} s" for edge in edges] + [f"> {edges[-1]} s"]
    counts = dict.fromkeys(labels, 0)
    for verdict in verdicts:
        counts[labels[sum(verdict.seconds > edge for edge in edges)]] += 1
    used = [i for i, label in enumerate(labels) if counts[label]]
    return {label: counts[label] for label in labels[used[0] : used[-1] + 1]} if used else {}


def _facts(verdicts: Sequence[Verdict]) -> list[tuple[str, float, float, float]]:
    """(name, smallest, median, largest) of the numbers that kept candidates report."""
    values: dict[str, list[float]] = {}
    for verdict in verdicts:
        for name, value in verdict.facts.items() if verdict.tasks else ():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(name, []).append(float(value))
    return [(name, min(v), sorted(v)[len(v) // 2], max(v)) for name, v in values.items()]


def _examples(tasks: Sequence[Task]) -> list[Task]:
    """A few tasks, another family and another difficulty each time, the same ones for the same tasks."""
    groups: dict[tuple[str, int], list[Task]] = {}
    for task in sorted(tasks, key=lambda task: task.id):
        groups.setdefault((task.family, task.difficulty), []).append(task)
    families = sorted({family for family, _ in groups})
    difficulties = sorted({difficulty for _, difficulty in groups})

    def turn(key: tuple[str, int]) -> tuple[int, str]:
        family, difficulty = key
        return (difficulties.index(difficulty) - families.index(family)) % len(difficulties), family

    spread = zip_longest(*(groups[key] for key in sorted(groups, key=turn)))
    return [task for turn in spread for task in turn if task is not None][:_EXAMPLES]


def _example(task: Task) -> dict[str, Any]:
    tools = [tool["function"] for message in task.messages for tool in message.get("tools") or ()]
    messages = [(m["role"], str(m["content"])) for m in task.messages if m.get("content")]
    data = json.dumps(task.data, indent=1, ensure_ascii=False)
    return {"task": task, "tools": tools, "messages": messages, "data": _text(data, _LONGEST_DATA)}


def _text(text: str, limit: int = _LONGEST_TEXT) -> str:
    return text if len(text) <= limit else f"{text[:limit]} … ({len(text) - limit:,} more characters)"


def _setting(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
