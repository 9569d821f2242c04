"""Quickstarts of many seeds: what is skipped, what is resumed, a stop that saves, and the tables of their effects."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from baleen.config.shipped import find_recipe
from benchmarks import quickstart_seeds
from benchmarks.quickstart_seeds import main, markdown, seeds_of, summarize

ROOT = Path(__file__).parents[2]
RESOLVED = find_recipe("tiny").read_text()
CHECK = {
    "name": "rise",
    "state": "passed",
    "estimate": 0.3,
    "low": 0.2,
    "high": 0.4,
    "bound": 0.1,
    "relation": ">=",
}

# Says what it is told: a seed's exit code; a seed of 90 and more waits for Ctrl-C at its first start, and then saves.
FAKE = f"""
import json, pathlib, signal, sys, time
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
out, seed = pathlib.Path(words["--out"]), int(words["--seed"])
(out / "stages").mkdir(parents=True, exist_ok=True)
(out / "resolved.toml").write_text({RESOLVED!r})
print(sys.argv[1:], flush=True)
if seed >= 90 and not (out / "saved").exists():
    def save(*_):
        with (out / "saved").open("a") as file:
            file.write("once")
        time.sleep(0.3)
        sys.exit(130)
    signal.signal(signal.SIGINT, save)
    (out / "ready").write_text("")
    time.sleep(60)
check = {CHECK!r} | {{"estimate": 0.3 + seed / 100}}
if seed == 1:
    check |= {{"state": "failed"}}
(out / "stages" / "sft.json").write_text(json.dumps({{"checks": [check]}}))
if seed == 2:
    sys.exit("crashed")
(out / "report.html").write_text("")
sys.exit(int(seed == 1))
"""


@pytest.fixture(autouse=True)
def _fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fake.py").write_text(FAKE)
    monkeypatch.setattr(quickstart_seeds, "QUICKSTART", [sys.executable, str(tmp_path / "fake.py")])


def starts(out: Path, seed: int) -> list[str]:
    return (out / f"seed-{seed}.log").read_text().split("\n")[:-1]


def test_seeds() -> None:
    assert seeds_of("0-2,7,1") == [0, 1, 2, 7]
    with pytest.raises(ValueError, match="x"):
        seeds_of("0-x")


def test_all_seeds_run_once_and_their_results_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--seeds", "3-6", "--threads", "1", "--jobs", "2", "--out", str(out), "--set", "sft.steps=3"]
    assert main(words) == 0 and main(words) == 0
    assert "| 4 | 0 | 0:00 | 1 | 1 | 0 | 0 |" in capsys.readouterr().out
    for seed in range(3, 7):
        (start,) = starts(out, seed)
        assert f"'--seed', '{seed}', '--threads', '1'" in start and "'--set', 'sft.steps=3'" in start
    found = json.loads((out / "seeds.json").read_text())
    assert [row["exit_code"] for row in found["seeds"]] == [0] * 4
    assert found["checks"][0]["mean"] == pytest.approx(0.345)
    assert "0.33 [0.2, 0.4]" in (out / "seeds.md").read_text()
    assert main([*words[:-1], "sft.steps=4"]) == 1, "other settings are another comparison"


def test_a_failed_check_is_a_result_and_a_crash_is_tried_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["--seeds", "0-2", "--out", str(out)]
    assert main(words) == 1 and main(words) == 1
    assert [len(starts(out, seed)) for seed in range(3)] == [1, 1, 4]  # a crash tells of itself in the log
    printed = capsys.readouterr().out
    assert "| 1 | 1 | 0:00 | 1 | 0 | 0 | 1 |" in printed and "| 2 | unfinished | 0:00 | 2 |" in printed
    assert "0.31 [0.2, 0.4] **failed**" in printed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_lets_the_runs_save_and_the_same_command_goes_on(tmp_path: Path, number: int) -> None:
    out = tmp_path / "out"
    words = ["--seeds", "90-93", "--jobs", "2", "--out", str(out)]
    program = (
        "import sys; from benchmarks import quickstart_seeds as q\n"
        f"q.QUICKSTART = [sys.executable, {str(tmp_path / 'fake.py')!r}]\nsys.exit(q.main(sys.argv[1:]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while not all((out / f"seed-{seed}" / "ready").exists() for seed in (90, 91)):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, number)  # as a terminal does: to the whole group
    printed = process.communicate(timeout=30)[0].decode()
    assert process.returncode == 130 and "the same command goes on" in printed
    assert [(out / f"seed-{seed}" / "saved").read_text() for seed in (90, 91)] == ["once", "once"]
    assert not (out / "seed-92").exists()
    for seed in (92, 93):
        (out / f"seed-{seed}").mkdir()
        (out / f"seed-{seed}" / "saved").write_text("")
    assert main(words) == 0
    found = json.loads((out / "seeds.json").read_text())["seeds"]
    assert [(row["exit_code"], row["sessions"]) for row in found] == [(0, 2), (0, 2), (0, 1), (0, 1)]


def write_stage(folder: Path, stage: str, record: dict[str, Any]) -> None:
    (folder / "stages").mkdir(parents=True, exist_ok=True)
    (folder / "resolved.toml").write_text(RESOLVED)
    (folder / "stages" / f"{stage}.json").write_text(json.dumps(record))


def test_the_tables_pool_what_the_seeds_have(tmp_path: Path) -> None:
    for seed, estimate, state in ((0, 0.5, "passed"), (1, 0.2, "uncertain")):
        folder = tmp_path / f"seed-{seed}"
        write_stage(folder, "speciale", {"checks": [CHECK | {"name": "hard", "estimate": 1.0}]})
        write_stage(folder, "sft", {"checks": [CHECK | {"estimate": estimate, "state": state}]})
    sessions = [
        {"seed": 0, "exit_code": 130, "seconds": 60.0, "finished": False},
        {"seed": 0, "exit_code": 0, "seconds": 5.5, "finished": True},
    ]
    summary = summarize(tmp_path, [0, 1, 2], sessions)
    first, second, third = summary["seeds"]
    assert (first["exit_code"], first["seconds"], first["passed"]) == (0, 65.5, 2)
    assert (second["exit_code"], second["uncertain"], third["checks"]) == (None, 1, [])
    rise, hard = summary["checks"]
    assert (rise["stage"], rise["wanted"], rise["seeds"], rise["uncertain"]) == ("sft", ">= 0.1", 2, 1)
    assert rise["mean"] == pytest.approx(0.35) and rise["deviation"] == pytest.approx(0.2121, abs=1e-4)
    assert (hard["name"], hard["deviation"]) == ("hard", 0.0)
    text = markdown(summary)
    assert "| SFT | rise | 0.5 [0.2, 0.4] | 0.2 [0.2, 0.4] **uncertain** | – |" in text
    assert "| SFT | rise | >= 0.1 | 0.35 | 0.212 | 0.2 to 0.5 | 1 | 1 | 0 |" in text
