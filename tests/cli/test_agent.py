"""`baleen agent`: a run that may be killed at any moment, its replay, its end at a budget, its mistakes in options."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from baleen.cli.main import main
from baleen.environments import FAMILIES, Task, sample_task, scripted_solution
from baleen.evaluation.intervals import wilson
from tests.agent.stand_in import Answer, calls, fails, says, stand_in

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[Task]:
    rng = random.Random(2)
    drawn = [sample_task(f, FAMILIES[f].difficulties[1], rng, "heldout") for f in FAMILIES for _ in range(4)]
    return list({task.id: task for task in drawn}.values())


@pytest.fixture
def file(tasks: list[Task], tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(json.dumps(task.to_row()) + "\n" for task in tasks))
    return path


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "trajectories.jsonl").read_text().splitlines()]


def run(file: Path, *words: str) -> int:
    return main(["agent", "run", str(file), "--out", str(file.parent / "out"), *words])


def solves(tasks: list[Task], seconds: float = 0.0) -> Any:
    """A server that knows every solution."""
    known = {task.question: scripted_solution(task) for task in tasks}

    def script(request: dict[str, Any]) -> Answer:
        question = next(m["content"] for m in request["messages"] if m["role"] == "user")
        said = [m for m in known[question] if m["role"] == "assistant"]
        message = said[sum(m["role"] == "assistant" for m in request["messages"])]
        made = [(c["function"]["name"], c["function"]["arguments"]) for c in message.get("tool_calls") or ()]
        answer = calls(*made) if made else says(message["content"])
        answer.seconds = seconds
        return answer

    return script


def test_a_script_solves_all_and_plays_again(
    file: Path, tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    out = file.parent / "out"
    assert run(file, "--policy", "scripted") == 0
    printed = capsys.readouterr().out
    assert f"{len(tasks)} of {len(tasks)} episodes played" in printed and "reward 1.000" in printed
    assert f"{len(tasks)} finished" in printed
    assert sorted(row["task"] for row in rows(out)) == sorted(task.id for task in tasks)
    assert "solved" in (out / "trajectories.html").read_text()
    assert main(["agent", "replay", str(out)]) == 0
    assert main(["agent", "page", str(out)]) == 0
    # The same command has nothing left to do, more attempts play the others.
    assert run(file, "--policy", "scripted") == 0 and len(rows(out)) == len(tasks)
    assert run(file, "--policy", "scripted", "--attempts", "3") == 0
    assert Counter(row["attempt"] for row in rows(out)) == {k: len(tasks) for k in range(3)}


def test_a_replay_shows_what_was_tampered_with(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(file, "--policy", "scripted", "--first", "3") == 0
    out = file.parent / "out"
    path = out / "trajectories.jsonl"
    path.write_text(path.read_text().replace('"reward": 1.0', '"reward": 0.25', 1))
    capsys.readouterr()
    assert main(["agent", "replay", str(out)]) == 1
    printed = capsys.readouterr().out
    assert "attempt 0: score 1.0, it was 0.25" in printed and "2 of 3 episodes are as they were" in printed


@pytest.mark.parametrize("after", [1, 7])
def test_a_killed_run_goes_on_without_loss_or_duplicates(file: Path, tasks: list[Task], after: int) -> None:
    out = file.parent / "out"
    with stand_in(solves(tasks, seconds=0.02)) as server:
        words = ["agent", "run", str(file), "--out", str(out), "--base-url", server.url, "--model", "m"]
        process = subprocess.Popen(
            [sys.executable, "-m", "baleen.cli.main", *words],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        path = out / "trajectories.jsonl"
        deadline = time.monotonic() + 60
        while not path.exists() or path.read_bytes().count(b"\n") < after:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        kept = path.read_bytes()
        whole = kept[: kept.rfind(b"\n") + 1]
        assert after <= whole.count(b"\n") < len(tasks)
        assert main(words) == 0
    assert path.read_bytes().startswith(whole)
    assert sorted(row["task"] for row in rows(out)) == sorted(task.id for task in tasks)
    assert main(["agent", "replay", str(out)]) == 0


def test_failures_of_nobody_are_played_again(
    file: Path, tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    out = file.parent / "out"
    with stand_in([fails(400, "upstream is ill")]) as server:
        model = ["--base-url", server.url, "--model", "m", "--retries", "0"]
        assert run(file, *model) == 1
        assert {row["stop_reason"] for row in rows(out)} == {"policy_error"}
        assert {row["reward"] for row in rows(out)} == {None}
        assert "upstream is ill" in capsys.readouterr().out
        server.script = solves(tasks)
        assert run(file, *model) == 0
    printed = capsys.readouterr().out
    assert "reward 1.000" in printed and "policy_error" not in printed
    assert len(rows(out)) == 2 * len(tasks)


def test_a_budget_ends_the_run_and_a_higher_one_goes_on(
    file: Path, tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    out = file.parent / "out"
    with stand_in(solves(tasks)) as server:
        # An answer has 20 tokens: 0.02 dollars. It might have 40.
        model = ["--base-url", server.url, "--model", "m", "--price-input", "0", "--price-output", "1000"]
        model += ["--max-answer-tokens", "40", "--concurrency", "1"]
        assert run(file, *model, "--max-cost", "0.1") == 1
        assert len(server.requests) == 4 and len(rows(out)) == 5, "once refused, nothing is tried"
        printed = capsys.readouterr().out
        assert "4 calls of a model, 0.0800 of 0.1 dollars" in printed and "higher --max-cost" in printed
        assert run(file, *model, "--max-cost", "9") == 0
    settled = [row["task"] for row in rows(out) if row["reward"] is not None]
    assert sorted(settled) == sorted(task.id for task in tasks)


def test_a_refused_key_ends_the_run_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with stand_in([fails(401)]) as server:
        assert run(file, "--base-url", server.url, "--model", "m") == 1
        assert len(server.requests) <= 4
    assert "refused the API key" in capsys.readouterr().err


def test_an_unknown_model_ends_the_run_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with stand_in([fails(400, "Model Not Exist")]) as server:
        assert run(file, "--base-url", server.url, "--model", "misspelt") == 1
        assert len(server.requests) <= 4
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "knows no model 'misspelt'" in said[0] and not rows(file.parent / "out")


def test_what_a_server_breaks_off_is_played_again(file: Path, tasks: list[Task]) -> None:
    with stand_in([says("half", "insufficient_system_resource")]) as server:
        model = ["--base-url", server.url, "--model", "m", "--retries", "0"]
        assert run(file, *model) == 1
        assert {(row["stop_reason"], row["reward"]) for row in rows(file.parent / "out")} == {
            ("policy_error", None)
        }
        server.script = solves(tasks)
        assert run(file, *model) == 0


def test_half_characters_do_not_end_a_run(file: Path, tasks: list[Task]) -> None:
    """Neither in an answer nor in a task; both are stored as U+FFFD, and replayed so."""
    row = tasks[0].to_row()
    system = {"role": "system", "content": "\ud800"}
    broken = row | {"id": "half\udc80", "messages": [system, *row["messages"]]}
    file.write_text("".join(json.dumps(r) + "\n" for r in (row, broken)))
    out = file.parent / "out"
    with stand_in([says("so \ud83d", reasoning_content="hm \udfff")]) as server:
        assert run(file, "--base-url", server.url, "--model", "m") == 0
    played = {row["task"]: row["messages"] for row in rows(out)}
    assert played["half\ufffd"][0]["content"] == "\ufffd"
    assert {m[-1]["content"] for m in played.values()} == {"so \ufffd"}
    assert {m[-1]["reasoning_content"] for m in played.values()} == {"hm \ufffd"}
    assert main(["agent", "replay", str(out)]) == 0


def test_the_first_tasks_are_of_every_family(file: Path, tasks: list[Task]) -> None:
    families = {task.id: task.family for task in tasks}
    out = file.parent / "out"
    assert run(file, "--policy", "scripted", "--first", "3") == 0
    assert len({families[row["task"]] for row in rows(out)}) == len(rows(out)) == 3
    assert run(file, "--policy", "scripted", "--first", "9") == 0
    assert len(rows(out)) == 9 and max(Counter(families[row["task"]] for row in rows(out)).values()) == 2


def test_the_end_of_a_run_tells_cut_answers_from_failures(
    file: Path, tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    answers = [says("cut", "length"), says("cut", "length"), fails(400, "ill"), says("wrong")]
    with stand_in(answers) as server:
        model = ["--base-url", server.url, "--model", "m", "--retries", "0", "--concurrency", "1"]
        assert run(file, *model) == 1
    printed = " ".join(capsys.readouterr().out.split())
    n = len(tasks)
    assert f"outcomes: {n - 3} finished, 2 max_tokens, 1 policy_error" in printed
    assert f"2 of {n} episodes were cut short by a limit" in printed
    assert "1 failed through no fault of the policy" in printed
    assert f"reward 0.000 (95 % 0.000 to {wilson(0, n - 1).high:.3f})" in printed


def test_limits_of_the_command_reach_the_episodes(file: Path, tasks: list[Task]) -> None:
    slow = [task for task in tasks if task.family == "lookup"]
    file.write_text("".join(json.dumps(task.to_row()) + "\n" for task in slow))
    cases = {
        "max_turns": ["--max-turns", "1"],
        "max_tokens": ["--max-tokens", "20"],
        "max_seconds": ["--max-seconds", "0.01"],
        "max_dollars": ["--max-dollars", "0.001", "--price-input", "0", "--price-output", "1000"],
    }
    with stand_in(solves(tasks, seconds=0.03)) as server:
        for reason, words in cases.items():
            out = file.parent / reason
            model = ["--base-url", server.url, "--model", "m"]
            assert main(["agent", "run", str(file), "--out", str(out), *model, *words]) == 0
            assert {row["stop_reason"] for row in rows(out)} == {reason}


@pytest.mark.parametrize(
    ("words", "code", "says_what"),
    [
        ("", 2, "either --policy"),
        ("--policy scripted --base-url http://h/v1 --model m", 2, "either --policy"),
        ("--policy scripted --attempts 0", 2, "--attempts is 0"),
        ("--policy scripted --context discard-all", 2, "--context and --window"),
        ("--policy scripted --assets nowhere", 1, "--assets is nowhere"),
        ("--policy nowhere", 1, "does not exist"),
    ],
)
def test_mistakes_in_options(
    file: Path, capsys: pytest.CaptureFixture[str], words: str, code: int, says_what: str
) -> None:
    assert run(file, *words.split()) == code
    assert says_what in capsys.readouterr().err


def test_other_settings_and_other_tasks_are_another_run(
    file: Path, tasks: list[Task], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(file, "--policy", "scripted", "--first", "2") == 0
    assert run(file, "--policy", "scripted", "--first", "2", "--max-turns", "3") == 2
    assert "with max_turns = 50 and now has 3" in capsys.readouterr().err
    changed = tasks[0].to_row() | {"answer": "0"}
    file.write_text(json.dumps(changed) + "\n")
    assert run(file, "--policy", "scripted") == 1
    assert "another task" in capsys.readouterr().err
    file.write_text(2 * (json.dumps(changed) + "\n"))
    assert run(file, "--policy", "scripted") == 1
    assert "two tasks have the id" in capsys.readouterr().err


def test_the_help_and_a_wrong_action(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["agent"]) == 2 and main(["agent", "--help"]) == 0
    assert main(["agent", "ran"]) == 2
    assert "run, replay, page" in capsys.readouterr().err
