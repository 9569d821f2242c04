"""The scripted solution of code tasks: it scores, in three languages and for releases, and repeats to the letter."""

import json
import random
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from baleen.chat import Message
from baleen.environments import Task, TaskError, environment_for, scripted_solution
from baleen.environments.code import CodeWorld, demonstrate
from baleen.environments.code.demonstration import replacements
from baleen.environments.code.tree import to_bytes
from tests.synthesis.code_repos import (
    CMAKE,
    FAULT,
    NODE,
    PASSING,
    PYTHON,
    RECTANGLE,
    SQUARE,
    put_task,
    tree_of,
)


def play(task: Task, assets: Path) -> tuple[list[str], CodeWorld]:
    """What the tools reply to the demonstration."""
    world = environment_for(task, assets)
    assert isinstance(world, CodeWorld)
    world.reset()
    replies = [reply for message in scripted_solution(task, assets) for reply in world.step(message)]
    return [str(reply["content"]) for reply in replies], world


def names(messages: list[Message]) -> list[list[str]]:
    return [[call["function"]["name"] for call in m.get("tool_calls", ())] for m in messages]


def test_a_mutant_is_mended_step_by_step(assets: Path) -> None:
    task = put_task(assets, PYTHON, FAULT, [*SQUARE, *RECTANGLE], PASSING)
    assert names(demonstrate(task, assets)) == [["bash"], ["view"], ["view"], ["edit"], ["bash"], []]
    replies, world = play(task, assets)
    failing, test, place, edited, passing = replies
    assert "exit code 1" in failing and "area.py" in edited
    assert "def test_rectangle" in test or "def test_square" in test
    assert "     4\t    return width + height" in place
    assert passing.endswith("[exit code 0]")
    assert not re.search(r"\d\.\d+ ?s\b", failing + passing), "times differ from run to run"
    assert world.tree == world.solution
    assert world.score({"role": "assistant", "content": ""}) == 1.0
    assert play(task, assets)[0] == replies


@pytest.mark.parametrize(
    ("files", "fault", "failing", "passing", "runner", "program"),
    [
        (
            NODE,
            ("lib/sums.js", 12, "  return a > b ? a : b;", "  return a > b ? b : a;"),
            ["larger"],
            ["total > adds", "total > of nothing is 0", "larger"],
            "node",
            "node",
        ),
        (
            CMAKE,
            ("src/clamp.cpp", 5, "    return low;", "    return value;"),
            ["low"],
            ["low", "high"],
            "ctest",
            "cmake",
        ),
    ],
)
def test_other_languages(
    files: dict[str, str],
    fault: tuple[str, int, str, str],
    failing: list[str],
    passing: list[str],
    runner: str,
    program: str,
    tmp_path: Path,
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    task = put_task(tmp_path, files, fault, failing, passing, runner, seconds=60.0)
    replies, world = play(task, tmp_path)
    assert not any(reply.startswith("error") for reply in replies)
    assert "exit code 0" not in replies[0] and replies[-1].endswith("[exit code 0]")
    assert world.tree == world.solution
    assert play(task, tmp_path)[0] == replies


NEW_TEST = "from shapes.volume import cube\n\n\ndef test_cube():\n    assert cube(2) == 8\n"
RELEASE = PYTHON | {
    "shapes/area.py": PYTHON["shapes/area.py"]
    .replace("negative", "below 0")
    .replace("def square", "def  square"),
    "shapes/volume.py": "from shapes.area import square\n\n\ndef cube(side):\n    return side * square(side)\n",
    "shapes/empty.py": "FILLED = True\n",
    "tests/test_volume.py": NEW_TEST,
}


def put_release(assets: Path) -> Task:
    """From a tree with an old module and an empty one to RELEASE, whose tests the workspace lacks."""
    old = PYTHON | {"shapes/old file.py": "OLD = 1\n", "shapes/empty.py": ""}
    task = put_task(
        assets, PYTHON, FAULT, ["tests.test_volume::test_cube"], [*PASSING, "tests.test_volume::test_cube"]
    )
    (assets / "trees/old.tree").write_bytes(to_bytes(tree_of(old)))
    (assets / "trees/new.tree").write_bytes(to_bytes(tree_of(RELEASE)))
    return replace(task, data={**task.data, "tree": "trees/old.tree", "frame": "trees/new.tree", "edits": []})


def test_a_release_is_put_in_place_by_the_tools(assets: Path) -> None:
    task = put_release(assets)
    replies, world = play(task, assets)
    assert not any(reply.startswith("error") for reply in replies)
    source = {path for path in RELEASE if path.startswith("shapes/")}
    assert {path for path in world.tree if path.startswith("shapes/")} == source
    assert all(world.tree[path] == world.solution[path] for path in source)
    assert world.score({"role": "assistant", "content": ""}) == 1.0
    assert play(task, assets)[0] == replies


def test_a_change_that_is_no_text_has_no_script(assets: Path) -> None:
    task = put_release(assets)
    raw = tree_of(RELEASE) | {"shapes/volume.py": ("100644", b"\xff")}
    (assets / "trees/new.tree").write_bytes(to_bytes(raw))
    with pytest.raises(TaskError, match=r"volume\.py is not a text file"):
        demonstrate(task, assets)


def test_replacements_lead_from_any_text_to_any_other() -> None:
    rng = random.Random(4)
    for _ in range(400):
        old, new = (
            "".join(rng.choices(["a\n", "b\n", "aa\n", "\n", "\f", "x"], k=rng.randrange(12))) for _ in "12"
        )
        text = old
        for found, instead in replacements(old, new) if old else ():
            assert text.count(found) == 1
            text = text.replace(found, instead)
        assert text == new or not old


def test_calls_are_json_with_text_only(assets: Path) -> None:
    for message in demonstrate(put_task(assets, PYTHON, FAULT, SQUARE, PASSING), assets):
        for call in message.get("tool_calls", ()):
            assert isinstance(json.loads(call["function"]["arguments"]), dict)
