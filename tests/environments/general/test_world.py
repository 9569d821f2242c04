"""The world of general tasks: calls change its database alone, and only the right end scores."""

import json
import random
from dataclasses import replace
from typing import Any

import pytest

from baleen.environments import Task, TaskError, environment_for
from baleen.environments.general import (
    GeneralTask,
    GeneralWorld,
    demonstrate,
    sample_general_task,
    verification,
)
from baleen.environments.general.database import build
from baleen.environments.general.sampling import general_task
from baleen.environments.general.verification import Outcome, VerifierError, accepts


def call(name: str, **arguments: Any) -> dict[str, Any]:
    made = {"type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
    return {"role": "assistant", "content": "", "tool_calls": [made]}


def say(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def result(world: GeneralWorld, name: str, **arguments: Any) -> str:
    return world.step(call(name, **arguments))[0]["content"]


PYTHON = """
import sqlite3

def add(db, n):
    if n < 0:
        raise ValueError("n must not be negative")
    db.execute("UPDATE t SET a = a + ?", (n,))
    if n == 7:
        1 / 0
    if n == 8:
        import os
        os._exit(1)
    print("hello")
    return db.execute("SELECT a FROM t").fetchone()["a"]
"""
VERIFY = """
def verify(before, after, answer):
    was, now = before.execute("SELECT a FROM t").fetchone()[0], after.execute("SELECT a FROM t").fetchone()[0]
    return answer == str(now) and now == was + 5
"""


def python_task(verification: str = VERIFY) -> Task:
    parameters = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    schema = {"name": "add", "description": "adds", "parameters": parameters}
    environment = {
        "name": "sums", "database": "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (2);",
        "tools": [schema], "code": PYTHON, "ignored": [],
    }  # fmt: skip
    data = {
        "environment": environment, "solution": "", "parameters": {}, "calls": [],
        "changes": {"t": {"removed": [[2]], "added": [[7]]}}, "verification": verification,
    }  # fmt: skip
    record = GeneralTask.from_data(data)
    return general_task("sums", 1, "train", [schema], "Add 5. What is it then?", "7", record)


@pytest.fixture
def task() -> Task:
    """An update of the bank's: a transfer."""
    rng = random.Random(3)
    while True:
        task = sample_general_task("bank", 3, rng)
        if any(name == "transfer" for name, *_ in task.data["calls"]):
            return task


def test_the_demonstration_plays_and_scores(task: Task) -> None:
    world = environment_for(task)
    world.reset()
    messages = demonstrate(task)
    for said, heard in zip(messages[:-1:2], messages[1::2], strict=True):
        assert [reply["content"] for reply in world.step(said)] == [heard["content"]]
    assert world.score(messages[-1]) == 1.0
    assert world.score(say(task.answer + " ")) == 1.0
    assert world.score(say(task.answer + ".")) == 0.0
    assert world.score(messages[0]) == 0.0
    assert world.score({"role": "assistant", "content": None}) == 0.0


def test_the_right_answer_with_another_database_is_wrong(task: Task) -> None:
    world = GeneralWorld(task)
    world.reset()
    assert world.score(say(task.answer)) == 0.0  # nothing was done
    for message in demonstrate(task)[:-1:2]:
        world.step(message)
    for message in demonstrate(task)[:-1:2]:
        world.step(message)
    assert world.score(say(task.answer)) == 0.0  # it was done twice


def test_snapshots_go_back_and_over_to_another_world(task: Task) -> None:
    world, other = GeneralWorld(task), GeneralWorld(task)
    world.reset()
    start = world.snapshot()
    for message in demonstrate(task)[:-1:2]:
        world.step(message)
    other.restore(world.snapshot())
    assert other.score(say(task.answer)) == 1.0
    world.restore(start)
    assert world.score(say(task.answer)) == 0.0
    other.reset()
    assert other.snapshot() == start


def test_a_refused_call_changes_nothing(task: Task) -> None:
    world = GeneralWorld(task)
    world.reset()
    before = world.snapshot()
    account = str(task.data["parameters"]["account"])
    assert result(world, "transfer", source=account, target=account, amount="1").startswith("error: ")
    assert "is too low" in result(
        world, "transfer", source=account, target=other_account(task), amount="99999"
    )
    assert "must be an integer" in result(world, "transfer", source="x", target=account, amount="1")
    assert "no argument" in result(world, "transfer", table="t")
    assert "no tool" in result(world, "drop")
    assert world.snapshot() == before


def other_account(task: Task) -> str:
    return str(task.answer)


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({"tools": []}, "environment.tools lacks .*transfer"),
        ({"database": "CREATE TABEL"}, "environment cannot be opened: .*syntax error"),
        ({"tools": [{"name": "transfer"}]}, "environment cannot be opened: .*description is missing"),
        ({"code": 5}, "environment.code is 5; it should be a valid string"),
    ],
)
def test_a_damaged_environment_is_refused(task: Task, environment: dict[str, Any], why: str) -> None:
    damaged = {**task.data, "environment": {**task.data["environment"], **environment}}
    with pytest.raises(TaskError, match=f"task {task.id}, data: {why}"):
        GeneralWorld(replace(task, data=damaged))


def test_a_row_of_a_file_is_the_same_task(task: Task) -> None:
    again = Task.from_row(json.loads(json.dumps(task.to_row())))
    world = GeneralWorld(again)
    world.reset()
    for message in demonstrate(again)[:-1:2]:
        world.step(message)
    assert world.score(say(again.answer)) == 1.0


def test_python_tools_run_in_a_process_that_holds_the_database() -> None:
    world = GeneralWorld(python_task())
    world.reset()
    assert result(world, "add", n=1) == "3"
    assert result(world, "add", n=-1) == "error: n must not be negative"
    assert "ZeroDivisionError" in result(world, "add", n=7)  # and its change is undone
    assert result(world, "add", n=0) == "3"
    assert "the tool failed" in result(world, "add", n=8)  # the process is gone, the state is not
    assert result(world, "add", n=4) == "7"
    assert world.score(say("7")) == 1.0
    assert world.score(say("8")) == 0.0
    state = world.snapshot()
    world.reset()
    assert result(world, "add", n=0) == "2"
    world.restore(state)
    assert result(world, "add", n=0) == "7"
    world.close()
    world.close()


def test_a_verifier_alone_does_not_decide() -> None:
    task = python_task("def verify(before, after, answer):\n    return True")
    world = GeneralWorld(task)
    world.reset()
    assert world.score(say("anything")) == 0.0  # the database is not as the solution left it
    world.step(call("add", n=5))
    assert world.score(say("anything")) == 1.0
    world.close()


@pytest.mark.parametrize("body", ["1 / 0", "return 'yes'", "return 1", "import os; os._exit(0)"])
def test_a_verifier_that_does_not_say_true_does_not_accept(body: str) -> None:
    data = build("CREATE TABLE t (a)")
    text = f"def verify(before, after, answer):\n    if answer == 'a':\n        return True\n    {body}\n"
    right, wrong = Outcome(data, "a"), Outcome(data, "b")
    assert accepts(text, data, [right, wrong, right]) == [True, False, "_exit" not in body]


@pytest.mark.parametrize("text", ["def verify(", "x = 1", "import nothing_of_this_name", "while True: pass"])
def test_a_verifier_that_cannot_be_run_is_its_authors_fault(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "SECONDS", 1.0)
    data = build("CREATE TABLE t (a)")
    with pytest.raises(VerifierError):
        accepts(text, data, [Outcome(data, "a")])
