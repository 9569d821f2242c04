"""`baleen eval`: the table, the rows, the figure; a run goes on where it was left."""

import json
import random
from pathlib import Path

import pytest

from baleen.cli.main import main
from baleen.environments.toy.hunt import hunt


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    rng = random.Random(0)
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(hunt(80, rng).to_row()) + "\n" for _ in range(6)))
    return path


def command(tasks: Path, *options: object) -> list[str]:
    fixed = [
        "eval",
        tasks,
        "--out",
        tasks.parent / "out",
        "--policy",
        "searcher",
        "--window",
        900,
        "--max-turns",
        1500,
    ]
    return [str(word) for word in (*fixed, *options)]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_all_strategies_in_one_table(tasks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(tasks, "--parallel", 3)) == 0
    shown = capsys.readouterr().out
    rows = {row["strategy"]: row for row in lines(tasks.parent / "out" / "results.jsonl")}
    assert list(rows) == ["none", "summary", "discard-75", "discard-all", "fewest-step"]
    assert rows["none"]["accuracy"] < rows["discard-all"]["accuracy"] == rows["summary"]["accuracy"] == 1.0
    assert rows["none"]["steps"] < rows["discard-all"]["steps"]
    assert rows["none"]["stop_reasons"]["max_tokens"] > 0 and rows["discard-all"]["num_fired"] > 0
    assert rows["fewest-step"]["branches"] == 18 and rows["fewest-step"]["attempts"] == 6
    assert "fires repeatedly" in rows["discard-75"]["context"] and rows["discard-75"]["context"] in shown
    assert "discard-all over none: +" in shown and "6 x 1" in shown
    assert (tasks.parent / "out" / "accuracy.svg").read_text().startswith("<svg")


def test_a_run_goes_on_and_may_grow(tasks: Path) -> None:
    options = ("--strategy", "none", "discard-all")
    path = tasks.parent / "out" / "outcomes.jsonl"
    assert main(command(tasks, *options, "--first", 2)) == 0
    before = path.read_text()
    with open(path, "a") as file:
        file.write('{"strategy": "none", "ta')  # as a kill leaves it
    assert main(command(tasks, *options, "--attempts", 2)) == 0
    after = lines(path)
    assert path.read_text().startswith(before)
    keys = [(row["strategy"], row["task"], row["number"]) for row in after]
    assert len(keys) == len(set(keys)) == 2 * 6 * 2
    (row, _) = lines(tasks.parent / "out" / "results.jsonl")
    assert (row["items"], row["attempts"]) == (6, 12)
    assert main(command(tasks, *options)) == 0 and lines(path) == after


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--window", "0"], "--window is 0"),
        (["--trigger", "1.5"], "trigger is 1.5"),
        (["--parallel", "0"], "--parallel is 0"),
        (["--base-url", "http://127.0.0.1:1/v1", "--model", "m"], "either --policy"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], says: str, tasks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tasks, *options)) == 2
    error = capsys.readouterr().err.strip()
    assert says in error and len(error.splitlines()) == 1


def test_other_settings_need_another_folder(tasks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(command(tasks, "--strategy", "none", "--first", 1)) == 0
    assert main(command(tasks, "--strategy", "none", "--seed", 3)) == 2
    assert "seed = 0" in capsys.readouterr().err


def test_other_tasks_of_the_same_ids_need_another_folder(
    tasks: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(tasks, "--strategy", "none", "--first", 1)) == 0
    tasks.write_text(tasks.read_text().replace("points to", "leads to"))
    assert main(command(tasks, "--strategy", "none", "--first", 1)) == 1
    assert "another task" in capsys.readouterr().err


def test_an_endpoint_that_fails_leaves_no_figures(tasks: Path, capsys: pytest.CaptureFixture[str]) -> None:
    endpoint = ["--base-url", "http://127.0.0.1:9/v1", "--model", "m", "--retries", "0", "--first", "2"]
    fixed = ["eval", str(tasks), "--out", str(tasks.parent / "out"), "--window", "900", "--strategy", "none"]
    assert main([*fixed, *endpoint]) == 1
    assert "the same command goes on" in capsys.readouterr().out
    assert lines(tasks.parent / "out" / "results.jsonl") == []
    assert [row["branch"]["stop_reason"] for row in lines(tasks.parent / "out" / "outcomes.jsonl")] == [
        "policy_error"
    ] * 2
