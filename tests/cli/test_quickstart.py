"""The whole command on a smoke recipe: it leaves a model and a report, and a killed run ends like a whole one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch

from baleen.model import load_model

COMMAND = [sys.executable, "-c", "import sys; from baleen.cli.main import main; sys.exit(main(sys.argv[1:]))"]


def start(out: Path) -> subprocess.Popen[bytes]:
    arguments = ["quickstart", "--smoke", "--threads", "1", "--out", str(out)]
    return subprocess.Popen(COMMAND + arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def losses(out: Path) -> list[tuple[str, int, float]]:
    lines = (json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines())
    return [(line["stage"], line["step"], line["loss"]) for line in lines]


def test_a_killed_run_resumes_to_the_same_end(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start(whole)
    assert process.wait(300) == 0, process.stderr.read().decode()
    assert (whole / "report.html").stat().st_size > 10_000

    process = start(killed)
    deadline = time.monotonic() + 200
    while not (killed / "checkpoints" / "dsa_warmup").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    process = start(killed)
    assert process.wait(300) == 0, process.stderr.read().decode()

    assert losses(killed) == losses(whole)
    first, second = load_model(whole / "model"), load_model(killed / "model")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    for stage in ("pretrain", "dsa_warmup", "dsa_sparse"):
        one, other = (json.loads((run / "stages" / f"{stage}.json").read_text()) for run in (whole, killed))
        assert one["summary"] == other["summary"]


def test_impossible_options_are_one_line(tmp_path):
    for arguments, word in ((["--threads", "0"], "--threads"), (["--text", str(tmp_path / "no")], "no")):
        command = [*COMMAND, "quickstart", "--smoke", "--out", str(tmp_path / "run"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert done.returncode in (1, 2)
        assert word in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
