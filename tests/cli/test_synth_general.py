"""`baleen synth general` from the command line: counts, resuming after SIGKILL, a model over HTTP, mistakes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from baleen.cli.synth_general import main
from baleen.config import UserError
from baleen.environments import read_tasks
from baleen.synthesis import read_verdicts
from tests.agent.stand_in import Answer, fails, says, stand_in
from tests.synthesis.general.broken_author import FIRST, HARD

SMALL = ["--domains", "bank", "staff", "--environments", "4", "--levels", "2", "--workers", "2"]


def test_a_run_tells_what_it_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--out", str(tmp_path), *SMALL]) == 0
    tasks = read_tasks(tmp_path / "tasks.jsonl")
    assert {task.family for task in tasks} == {"bank", "staff"} and len({task.id for task in tasks}) == len(
        tasks
    )
    told = capsys.readouterr().out
    assert "tasks by difficulty: " in told and "wrong outcomes refused: " in told


def test_a_killed_run_resumes_without_loss_or_duplicates(tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert main(["--out", str(whole), *SMALL]) == 0
    program = f"from baleen.cli.synth_general import main; main({['--out', str(killed), *SMALL]!r})"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, env={**os.environ})
    journal = killed / "candidates.jsonl"
    ends = time.monotonic() + 30
    while not (journal.exists() and journal.read_text().count("\n")) and time.monotonic() < ends:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(read_verdicts(killed)) < 4
    assert main(["--out", str(killed), *SMALL]) == 0
    assert (killed / "tasks.jsonl").read_text() == (whole / "tasks.jsonl").read_text()
    names = [verdict.candidate for verdict in read_verdicts(killed)]
    assert len(names) == len(set(names)) == 4


def test_a_model_over_http_that_breaks_in_every_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One environment after the other: good, 500s for good, refusal, truncation, mended, broken verifier."""
    first, hard = says(json.dumps(FIRST)), says(json.dumps(HARD))
    accepts_all = {**FIRST, "verification": "def verify(before, after, answer):\n    return True"}
    script: list[Answer] = [first, hard]
    script += [fails(500)] * 2
    script += [says("", "content_filter")] * 3
    script += [says(json.dumps(FIRST)[:300], "length")] * 3
    script += [says("Sure!"), first, fails(500), hard]
    script += [says(json.dumps(accepts_all))] * 2
    script += [fails(500)] * 2
    with stand_in(script) as server:
        code = main(
            [
                "--out",
                str(tmp_path),
                "--author",
                "model",
                "--environments",
                "7",
                "--workers",
                "1",
                "--levels",
                "2",
            ]
            + ["--repairs", "1", "--base-url", server.url, "--model", "m", "--retries", "1"]
            + ["--price-input", "1", "--price-output", "1", "--max-cost", "1"]
        )
        assert len(server.requests) == len(script)
    assert code == 0
    verdicts = read_verdicts(tmp_path)
    assert [(len(v.tasks), v.reason) for v in verdicts] == [
        (2, ""),
        (0, "the author model gave no answer"),
        (0, "author refused"),
        (0, "answer was cut off"),
        (2, ""),
        (0, "verification accepts a wrong outcome"),
        (0, "the author model gave no answer"),
    ]
    assert len(read_tasks(tmp_path / "tasks.jsonl")) == 4
    assert all(v.usage["dollars"] > 0 for v in verdicts if v.tasks)
    assert "proposals rejected: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "what"),
    [
        (["--author", "model"], "--base-url"),
        (["--attempts", "4"], "--base-url"),
        (["--domains", "hostel"], "must be one of"),
        (["--levels", "0"], "--levels is 0"),
        (
            ["--author", "model", "--domains", "bank", "--base-url", "http://x/v1", "--model", "m"],
            "--domains",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, options: list[str], what: str) -> None:
    with pytest.raises(UserError, match=what):
        main(["--out", str(tmp_path), *options])
