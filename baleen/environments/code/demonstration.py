"""The scripted solution of a code task: what an engineer does who happens to know the patch."""

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from baleen.chat import Message
from baleen.environments.code.runners import RUNNERS, Runner
from baleen.environments.code.tree import Tree, text_of
from baleen.environments.code.world import CodeWorld
from baleen.environments.task import Task, TaskError, answer_message, calls_message

_CALLS = 12  # of one message: a release may change many places, and an episode has a limit of answers
_AROUND = 6  # lines shown before and after a place
_TEST_LINES = 20
_TEST_FILES = 3  # that are run; the score runs all

Call = tuple[str, Mapping[str, Any]]


def demonstrate(task: Task, assets: Path | None = None) -> list[Message]:
    """The assistant messages of an episode that ends with the solution, by `bash`, `view` and `edit`.

    It runs the failing tests, looks at the first of them and at the places to change, changes them, and runs the tests
    again. Tool messages are not among them, for only a sandbox knows what the tests print; it prints the same whenever
    it is played. Raises TaskError, also for a change that is not one of texts.
    """
    world = CodeWorld(task, assets)
    runner = RUNNERS[task.data["suite"]["runner"]]
    failing = task.data["fail_to_pass"]
    changed = [
        path
        for path in sorted({*world.tree, *world.solution})
        if runner.is_source(path) and world.tree.get(path) != world.solution.get(path)
    ]
    looks: list[Call] = []
    edits: list[Call] = []
    for path in changed:
        remove: Call = ("bash", {"command": f"rm {shlex.quote(path)}"})
        if path not in world.solution:
            edits.append(remove)
            continue
        new = text_of(world.solution, path)
        old = text_of(world.tree, path) if path in world.tree else ""
        if old is None or new is None:
            raise TaskError(f"{task.id}: {path} is no text, so no script can edit it")
        if not old:  # `edit` makes files, but fills none
            edits += [remove] if path in world.tree else []
            edits.append(("edit", {"path": path, "old": "", "new": new}))
            continue
        first, last = _span(old, new)
        looks.append(("view", {"path": path, "first": first, "last": last}))
        edits += [("edit", {"path": path, "old": a, "new": b}) for a, b in replacements(old, new)]
    files = runner.files_of(world.tree, failing)[:_TEST_FILES]
    tests: list[Call] = [("bash", {"command": runner.steady(files)})]
    shown = _test_shown(world.tree, runner, failing)
    steps = [tests, shown, *_batches(looks), *_batches(edits), tests]
    answer = answer_message(f"Mended in {', '.join(changed)}.")
    return [*(calls_message(step) for step in steps if step), answer]


def replacements(old: str, new: str) -> Iterator[tuple[str, str]]:
    """(text, what takes its place), in the order of their edits, each text once in the file by then.

    Together they make `new` of `old`, which is not empty.
    """
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    opcodes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    hunks = [places for tag, *places in opcodes if tag != "equal"]
    # From the end, so that what stands before a change is as it was; what stands behind it is as it will be.
    for start, end, new_start, new_end in reversed(hunks):
        now = "".join(before[:end]) + "".join(after[new_end:])
        above, below, found = start, new_end, "".join(before[start:end])
        # Overlapping places count once, and then the first is taken: so it has to be the one that is meant.
        while not found or now.count(found) != 1 or now.index(found) != len("".join(before[:above])):
            assert above > 0 or below < len(after), "a whole file stands in itself once"
            above, below = max(0, above - 1), min(len(after), below + 1)
            found = "".join(before[above:end] + after[new_end:below])
        yield found, "".join(before[above:start] + after[new_start:below])


def _span(old: str, new: str) -> tuple[int, int]:
    """The lines of `old` around the first change, first and last, from 1."""
    before, after = old.split("\n"), new.split("\n")
    same = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before) - 1)
    return max(1, same + 1 - _AROUND), same + 1 + _AROUND


def _test_shown(tree: Tree, runner: Runner, failing: Sequence[str]) -> list[Call]:
    """A look at a failing test, where the workspace has one: those of the next release are not in it."""
    for name in failing:
        title = re.split(r"::| > ", name)[-1].partition("[")[0]
        word = re.compile(rf"(?<!\w){re.escape(title)}(?!\w)")
        for path in runner.files_of(tree, [name]):
            lines = (text_of(tree, path) or "").split("\n")
            line = next((n for n, line in enumerate(lines, 1) if word.search(line)), None)
            if line is not None:
                return [("view", {"path": path, "first": line, "last": line + _TEST_LINES - 1})]
    return []


def _batches(calls: Sequence[Call]) -> list[Sequence[Call]]:
    return [calls[i : i + _CALLS] for i in range(0, len(calls), _CALLS)]
