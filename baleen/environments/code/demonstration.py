"""The scripted solution of a code task: what an engineer would do who already knows the patch."""

import difflib
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from baleen.chat import Message
from baleen.environments.code.runners import RUNNERS, Runner
from baleen.environments.code.task import CodeTask
from baleen.environments.code.tree import Tree, text_of
from baleen.environments.code.world import CodeWorld
from baleen.environments.task import Task, TaskError, answer_message, calls_message

_MAX_CALLS = 12  # of one message; a release may change many places, and the number of messages is limited
_AROUND = 6  # lines shown before and after a change
_TEST_LINES = 20
_TEST_FILES = 3  # that are run; the score runs all of them

Call = tuple[str, Mapping[str, Any]]


def demonstrate(task: Task, assets: Path | None = None) -> list[Message]:
    """The assistant messages of an episode that ends with the solution.

    The episode runs the failing tests, views the first of them and the places to change, edits those, and runs the
    tests again. Tool messages are not included, because only a sandbox knows what the tests print. It prints the same
    every time.

    Args:
        task: a code task.
        assets: the folder that its synthesis wrote.

    Raises:
        TaskError: the task or its assets are damaged, or the change is not one of text files.
    """
    world = CodeWorld(task, assets)
    data = CodeTask.of(task)
    runner = RUNNERS[data.suite.runner]
    failing = data.fail_to_pass
    changed = [
        path
        for path in sorted({*world.tree, *world.solution})
        if runner.is_source(path) and world.tree.get(path) != world.solution.get(path)
    ]
    views: list[Call] = []
    edits: list[Call] = []
    for path in changed:
        remove: Call = ("bash", {"command": f"rm {shlex.quote(path)}"})
        if path not in world.solution:
            edits.append(remove)
            continue
        new = text_of(world.solution, path)
        old = text_of(world.tree, path) if path in world.tree else ""
        if old is None or new is None:
            raise TaskError(f"{task.id}: {path} is not a text file, so no script can edit it")
        if not old:  # `edit` creates files but cannot fill an empty one
            edits += [remove] if path in world.tree else []
            edits.append(("edit", {"path": path, "old": "", "new": new}))
            continue
        first, last = _span(old, new)
        views.append(("view", {"path": path, "first": first, "last": last}))
        edits += [("edit", {"path": path, "old": a, "new": b}) for a, b in replacements(old, new)]
    files = runner.files_of(world.tree, failing)[:_TEST_FILES]
    tests: list[Call] = [("bash", {"command": runner.stable_command(files)})]
    shown = _test_shown(world.tree, runner, failing)
    steps = [tests, shown, *_batches(views), *_batches(edits), tests]
    answer = answer_message(f"Fixed in {', '.join(changed)}.")
    return [*(calls_message(step) for step in steps if step), answer]


def replacements(old: str, new: str) -> Iterator[tuple[str, str]]:
    """Replacements that turn `old`, which is not empty, into `new`.

    Yields:
        (text, new text) pairs in the order in which they are to be made. When its turn comes, each text occurs exactly
        once in the file.
    """
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    opcodes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    hunks = [places for tag, *places in opcodes if tag != "equal"]
    # From the end, so that the text before a change is still the old one and the text after it already the new one.
    for start, end, new_start, new_end in reversed(hunks):
        now = "".join(before[:end]) + "".join(after[new_end:])
        above, below, found = start, new_end, "".join(before[start:end])
        # Overlapping occurrences are counted once, and then the first one is replaced: it has to be the right one.
        while not found or now.count(found) != 1 or now.index(found) != len("".join(before[:above])):
            assert above > 0 or below < len(after), "a whole file occurs in itself once"
            above, below = max(0, above - 1), min(len(after), below + 1)
            found = "".join(before[above:end] + after[new_end:below])
        yield found, "".join(before[above:start] + after[new_start:below])


def _span(old: str, new: str) -> tuple[int, int]:
    """Numbers, from 1, of the first and the last line of `old` around the first change."""
    before, after = old.split("\n"), new.split("\n")
    same = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), len(before) - 1)
    return max(1, same + 1 - _AROUND), same + 1 + _AROUND


def _test_shown(tree: Tree, runner: Runner, failing: Sequence[str]) -> list[Call]:
    """A view of a failing test, if the workspace has one; it lacks the tests of the next release."""
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
    return [calls[i : i + _MAX_CALLS] for i in range(0, len(calls), _MAX_CALLS)]
