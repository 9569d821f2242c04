"""The whole command on a smoke recipe: every stage runs, and a run killed in each of them ends like a whole one."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from baleen.config.shipped import find_recipe
from baleen.evaluation.run_data import STAGES
from baleen.model import load_model

COMMAND = [sys.executable, "-c", "import sys; from baleen.cli.main import main; sys.exit(main(sys.argv[1:]))"]
# Of a step, what the clock decides.
TIMES = {"tokens_per_s", "elapsed", "sampling_share"}


def start(out: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A smoke run on one thread: then sums have one order and runs repeat to the bit."""
    command = [*COMMAND, "quickstart", "--smoke", "--threads", "1", "--out", str(out), *arguments]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[bytes]) -> None:
    assert process.wait(300) == 0, process.stderr.read().decode()


def metrics(out: Path) -> list[dict]:
    lines = (json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    finish(start(out))
    return out


def test_every_stage_leaves_its_record_and_the_run_a_model_and_a_report(whole):
    records = {name: json.loads((whole / "stages" / f"{name}.json").read_text()) for name in STAGES}
    assert all(record["bits_per_byte"] > 0 and record["gates"] for record in records.values())
    assert all(record["evals"] and record["samples"] for name, record in list(records.items())[3:])
    assert {line["stage"] for line in metrics(whole)} == set(STAGES)
    for folder in ("model", "model-speciale"):
        assert load_model(whole / folder).config.sparse_attention
        assert (whole / folder / "tokenizer.json").exists()
    cost = json.loads((whole / "cost.json").read_text())
    assert max(cost["positions"]) >= 16 * cost["index_topk"]
    assert (whole / "report.html").stat().st_size > 100_000


def test_a_run_killed_in_every_stage_resumes_to_the_same_end(whole, tmp_path):
    out = tmp_path / "killed"
    for stage in STAGES:
        process = start(out)
        deadline = time.monotonic() + 200
        while not (out / "checkpoints" / stage).exists() or not list(
            (out / "checkpoints" / stage).glob("step-*")
        ):
            assert time.monotonic() < deadline and process.poll() is None, (
                stage,
                process.stderr.read().decode(),
            )
            time.sleep(0.01)
        assert not (out / "stages" / f"{stage}.json").exists()
        os.kill(process.pid, signal.SIGKILL)
        process.wait(10)
    finish(start(out))

    assert metrics(out) == metrics(whole)
    for folder in ("model", "model-speciale"):
        pairs = zip(
            load_model(whole / folder).parameters(), load_model(out / folder).parameters(), strict=True
        )
        assert all(torch.equal(a, b) for a, b in pairs)
    for stage in STAGES:
        one, other = (json.loads((run / "stages" / f"{stage}.json").read_text()) for run in (whole, out))
        assert one | {"seconds": 0} == other | {"seconds": 0}


def test_the_transcripts_of_the_docs_can_be_made_anew(whole, tmp_path):
    script = Path(__file__).parents[2] / "docs" / "make_transcripts.py"
    command = [sys.executable, str(script), str(whole / "model"), "--out", str(tmp_path / "made.md")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    made, kept = (file.read_text() for file in (tmp_path / "made.md", script.parent / "transcripts.md"))
    headings = [[line for line in text.splitlines() if line.startswith("#")] for text in (made, kept)]
    assert headings[0] == headings[1]
    assert made.count("usage:") == 1 and made.count("tokens in (") == 4


def test_a_finished_run_is_not_run_again(whole):
    before = (whole / "metrics.jsonl").read_bytes()
    finish(start(whole))
    assert (whole / "metrics.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threads", "0"], ["--threads", "0"]),
        (["--text", "/no/such/text"], ["/no/such/text"]),
        (["--stages", "pretrain,rlhf"], ["--stages", "rlhf", "speciale"]),
        (["--stages", "mixed"], ["distill", "--stages"]),
        (["--recipe", "/no/such/recipe.toml"], ["/no/such/recipe.toml", "tiny"]),
        (["--recipe", "tinny"], ["tinny", "did you mean tiny?"]),
        (["--out", "/proc/run"], ["/proc/run"]),
    ],
)
def test_impossible_options_are_one_line(tmp_path, arguments, words):
    process = start(tmp_path / "run", *arguments)
    process.wait(100)
    told = process.stderr.read().decode()
    assert process.returncode in (1, 2)
    assert all(word in told for word in words) and len(told.strip().splitlines()) == 1, told


def test_a_wrong_recipe_names_its_key(tmp_path):
    recipe = tmp_path / "mine.toml"
    text = find_recipe("tiny").read_text()
    for wrong, words in (
        (text.replace("clip = 0.2", "") + "\nrewards = 1\n", ["speciale.rewards"]),
        (text.replace("steps = 780", "steps = -1"), ["pretrain.steps", "-1"]),
        (text.replace('preset = "tiny"', 'preset = "huge"'), ["huge", "tiny"]),
        (text + "\n[sizes]\nindex_top = 9\n", ["tiny.json with index_top", "index_top: "]),
        (text + "\n[sizes]\nnum_experts_per_tok = 9\n", ["tiny.json with", "num_experts_per_tok=9"]),
    ):
        recipe.write_text(wrong)
        command = [*COMMAND, "quickstart", "--out", str(tmp_path / "run"), "--recipe", str(recipe)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        assert done.returncode in (1, 2)
        assert all(word in done.stderr for word in words) and len(done.stderr.strip().splitlines()) == 1, (
            done.stderr
        )
        assert not (tmp_path / "run").exists()
