"""Typed records of task data: files written before load and stay the same, and damaged fields are named."""

import json
from pathlib import Path
from typing import Any

import pytest

from baleen.environments import Task, TaskError, environment_for, read_tasks, scripted_solution
from baleen.environments.code import CodeTask
from baleen.environments.general import GeneralTask
from baleen.environments.interpreter import InterpreterTask
from baleen.environments.record import Record
from baleen.environments.search.task import SearchTask

# written by `baleen synth` and `sample_general_task` before there were records
EARLIER = Path(__file__).with_name("earlier_tasks.jsonl")
KINDS: dict[str, type[Record]] = {
    "code": CodeTask,
    "search": SearchTask,
    "interpreter": InterpreterTask,
    "general": GeneralTask,
}


def test_data_written_before_stays_the_same_text() -> None:
    rows = [json.loads(line) for line in EARLIER.read_text(encoding="utf-8").splitlines()]
    assert {row["domain"] for row in rows} == set(KINDS) and any("offered" in row["data"] for row in rows)
    for row, task in zip(rows, read_tasks(EARLIER), strict=True):
        assert json.dumps(KINDS[task.domain].of(task).to_data()) == json.dumps(row["data"])


def test_general_tasks_written_before_can_be_solved() -> None:
    for task in read_tasks(EARLIER):
        if task.domain == "general":
            world = environment_for(task)
            world.reset()
            *steps, answer = scripted_solution(task)
            for call, result in zip(steps[::2], steps[1::2], strict=True):
                assert [reply["content"] for reply in world.step(call)] == [result["content"]]
            assert world.score(answer) == 1.0


def damaged(kind: str, *path: Any, value: Any = None) -> Task:
    """An earlier task with one value of its data replaced, or removed if it is None."""
    (row, *_) = [json.loads(line) for line in EARLIER.read_text().splitlines() if f'"{kind}"' in line]
    place = row["data"]
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return Task.from_row(row)


@pytest.mark.parametrize(
    ("kind", "path", "value", "why"),
    [
        ("code", ("frame",), None, "frame is missing"),
        ("code", ("suite",), "pytest", "suite is 'pytest'"),
        ("code", ("suite", "seconds"), "soon", "suite.seconds is 'soon'; it should be a valid number"),
        ("code", ("edits", 0, "line"), "x", "edits.0.line is 'x'; it should be a valid integer"),
        ("code", ("fail_to_pass",), "test_a", "fail_to_pass is 'test_a'; it should be a valid tuple"),
        ("search", ("aliases",), [5], "aliases.0 is 5; it should be a valid string"),
        ("search", ("shown", "lines", "mentions"), [""], "shown.lines.mentions.1 is missing"),
        ("interpreter", ("tolerance",), "small", "tolerance is 'small'; it should be a decimal number"),
        ("interpreter", ("tolerance",), "1/0", "tolerance is '1/0'; it should be a decimal number"),
        ("general", ("environment", "database"), None, "environment.database is missing"),
        ("general", ("calls", 0), ["tool"], "calls.0.1 is missing"),
        ("general", ("changes",), [], "changes is \\[\\]; it should be a valid dictionary"),
    ],
)
def test_a_damaged_field_is_named(kind: str, path: tuple[Any, ...], value: Any, why: str) -> None:
    task = damaged(kind, *path, value=value)
    with pytest.raises(TaskError, match=f"task {task.id}, data: {why}"):
        KINDS[kind].of(task)


def test_worlds_name_a_damaged_field() -> None:
    for kind, path in (("code", "tree"), ("general", "solution")):
        task = damaged(kind, path)
        with pytest.raises(TaskError, match=f"data: {path} is missing"):
            environment_for(task, Path("/nowhere"))
    with pytest.raises(TaskError, match=r"suite.runner is 'make'; it must be one of pytest, node, ctest"):
        environment_for(damaged("code", "suite", "runner", value="make"), Path("/nowhere"))


def test_what_a_kind_does_not_need_may_be_missing() -> None:
    assert SearchTask.from_data({}) == SearchTask()
    assert InterpreterTask.from_data({"tolerance": 0.01}) == InterpreterTask(tolerance="0.01")
    assert InterpreterTask.from_data({"unknown": 1}).tolerance == "0"
