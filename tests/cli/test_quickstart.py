"""The whole command on a smoke recipe: every stage runs, and a run killed in each of them ends like a whole one."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from baleen.cli import train
from baleen.config.recipe import load_recipe
from baleen.config.shipped import find_recipe
from baleen.evaluation.intervals import wilson
from baleen.model import load_model
from baleen.runs.run_folder import RunFolder
from baleen.stages.checks import check, judged
from baleen.train import Checkpoints

RECIPE = load_recipe(find_recipe("smoke"))
STAGES = RECIPE.names
COMMAND = [sys.executable, "-c", "import sys; from baleen.cli.main import main; sys.exit(main(sys.argv[1:]))"]
# Of a step, what the clock decides.
TIMES = {"tokens_per_s", "elapsed", "sampling_share"}


def start(out: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A smoke run on one thread: then sums have one order and runs repeat to the bit."""
    command = [*COMMAND, "quickstart", "--smoke", "--threads", "1", "--out", str(out), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ending(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    out, err = process.communicate(timeout=600)
    return process.returncode, out.decode(), err.decode()


def finish(process: subprocess.Popen[bytes]) -> str:
    code, out, err = ending(process)
    assert code == 0, err
    return out


def metrics(out: Path) -> list[dict]:
    lines = (json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name not in TIMES} for line in lines]


def record(out: Path, stage: str) -> dict:
    """What a finished stage recorded but for the seconds."""
    return json.loads((out / "stages" / f"{stage}.json").read_text()) | {"seconds": 0}


def assert_same_model(one: Path, other: Path) -> None:
    pairs = zip(load_model(one).parameters(), load_model(other).parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def damage(folder: Path) -> None:
    """Another file in the place of the tensors: a link to the same one elsewhere stays whole."""
    file = folder / "model.safetensors"
    data = file.read_bytes()
    file.unlink()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    finish(start(out))
    return out


def test_every_stage_changes_the_weights_it_began_with(whole):
    """Else a run that was killed and resumed would prove nothing: any order of steps ends the same."""

    def weights(stage: str) -> dict[str, torch.Tensor]:
        found = Checkpoints(whole / "checkpoints" / stage).latest()
        assert found is not None
        return found[1]["model"]

    for stage in STAGES:
        parent = RECIPE.parent(stage)
        if parent is not None:
            now, then = weights(stage), weights(parent)
            changed = {name for name, tensor in now.items() if not torch.equal(tensor, then[name])}
            assert changed, stage
            assert stage == "dsa_warmup" or "model.layers.0.self_attn.o_proj.weight" in changed, stage


def test_every_stage_leaves_its_record_and_the_run_a_model_and_a_report(whole):
    records = {name: json.loads((whole / "stages" / f"{name}.json").read_text()) for name in STAGES}
    assert all(record["bits_per_byte"] > 0 and record["checks"] == [] for record in records.values())
    assert all(record["evals"] and record["samples"] for name, record in list(records.items())[3:])
    assert {line["stage"] for line in metrics(whole)} == set(STAGES)
    for folder in ("model", "model-speciale"):
        assert load_model(whole / folder).config.sparse_attention
        assert (whole / folder / "tokenizer.json").exists()
    cost = json.loads((whole / "cost.json").read_text())
    assert max(cost["positions"]) == 128 * cost["index_topk"]
    selection = json.loads((whole / "selection.json").read_text())
    assert all(len(found["tokens"]) > selection["index_topk"] for found in selection["documents"])
    assert len(selection["documents"]) == 2
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
        assert_same_model(whole / folder, out / folder)
    for stage in STAGES:
        assert record(whole, stage) == record(out, stage)


def test_the_transcripts_of_the_docs_can_be_made_anew(whole, tmp_path):
    script = Path(__file__).parents[2] / "docs" / "make_transcripts.py"
    command = [sys.executable, str(script), str(whole / "model"), "--out", str(tmp_path / "made.md")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    made, kept = (file.read_text() for file in (tmp_path / "made.md", script.parent / "transcripts.md"))
    headings = [[line for line in text.splitlines() if line.startswith("#")] for text in (made, kept)]
    assert headings[0] == headings[1]
    assert made.count("usage:") == 1 and made.count("tokens in (") == 4


def test_a_finished_run_is_not_run_again_and_a_smoke_run_is_quiet(whole):
    before = (whole / "metrics.jsonl").read_bytes()
    told = finish(start(whole))
    assert (whole / "metrics.jsonl").read_bytes() == before
    assert not any(word in told for word in ("failed", "uncertain", "gate", "wanted"))
    assert "too small a run to be judged" in told.splitlines()[-1]


def test_a_fork_ends_as_a_run_from_the_start(whole, tmp_path):
    out = tmp_path / "fork"
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    told = finish(start(out, "--from", f"{whole}:mixed"))
    assert "to run: speciale" in told and "to run: speciale" in (out / "log.txt").read_text()
    assert metrics(out) == metrics(whole) and record(out, "speciale") == record(whole, "speciale")
    assert_same_model(whole / "model-speciale", out / "model-speciale")
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_a_damaged_checkpoint_of_a_stage_that_goes_on_is_passed_over_aloud(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    (out / "stages" / "speciale.json").unlink()
    damage(out / "checkpoints" / "speciale" / "step-000003")
    told = finish(start(out))
    for text in (told, (out / "log.txt").read_text()):
        assert "step-000003 is damaged (kept as damaged-step-000003); going on from step 2" in text
    assert metrics(out) == metrics(whole) and record(out, "speciale") == record(whole, "speciale")


def test_a_damaged_checkpoint_of_a_finished_stage_is_refused(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    (out / "stages" / "speciale.json").unlink()
    damage(out / "checkpoints" / "mixed" / "step-000003")
    code, _, err = ending(start(out))
    assert code == 1 and len(err.splitlines()) == 1
    assert "step-000003/model.safetensors does not match its checksum; delete" in err
    assert f"{out}/stages/mixed.json to run the stage again" in err


def test_a_deleted_model_is_written_again_and_a_lost_tokenizer_named(whole, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    shutil.rmtree(out / "model")
    finish(start(out))
    assert_same_model(whole / "model", out / "model")
    assert (out / "model" / "tokenizer.json").read_bytes() == (
        whole / "model" / "tokenizer.json"
    ).read_bytes()
    assert (out / "cost.json").exists()
    (out / "checkpoints" / "tokenizer" / "tokenizer.json").unlink()
    code, _, err = ending(start(out))
    assert code == 1 and len(err.splitlines()) == 1 and "copy tokenizer.json" in err


def test_sigterm_and_ctrl_c_save_and_the_same_command_goes_on(whole, tmp_path):
    out = tmp_path / "stopped"
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        process = start(out, "--stages", "pretrain")
        logged = len(metrics(out)) if (out / "metrics.jsonl").exists() else 0
        while not (out / "metrics.jsonl").exists() or len(metrics(out)) <= logged:
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.05)
        os.kill(process.pid, number)
        ended, told, err = ending(process)
        assert ended == code and "stopping after this step" in told
        assert err.splitlines()[-1] == "baleen: the same command goes on from the last checkpoint"
        done = len(metrics(out))
        assert logged < done < 24 and (out / "checkpoints" / "pretrain" / f"step-{done:06d}").exists()
    finish(start(out, "--stages", "pretrain"))
    assert metrics(out) == [line for line in metrics(whole) if line["stage"] == "pretrain"]


def test_what_was_not_passed_is_told_with_its_remedy(tmp_path, capsys, monkeypatch):
    checks = [
        check("share", wilson(70, 100), ">=", 0.9, "raise sft.steps", 100, ("sft.steps", 1.5)),
        check("other share", wilson(93, 100), ">=", 0.9, "raise sft.steps", 100),
        check("good share", wilson(100, 100), ">=", 0.9, "raise sft.steps", 100),
    ]
    recipe = load_recipe(find_recipe("tiny"))
    monkeypatch.setattr("baleen.report.run_report.write_report", lambda out: out / "report.html")
    out = tmp_path / "run"
    for recorded, code in ((checks, 1), (checks[1:], 0)):
        with RunFolder(out, recipe, seed=0, threads=1) as run:
            run.write_stage("sft", {"checks": judged(recorded, recipe)})
            assert train._farewell(out, run, recipe, ["sft"], "baleen quickstart") == code
        told = capsys.readouterr().out.splitlines()
        if code:
            assert told[0] == ("sft: share 0.7 (0.604 to 0.781), failed, wanted >= 0.9; raise sft.steps")
            steps = math.ceil(1.5 * recipe.stage("sft").steps)
            command = f"  baleen quickstart --from {out} --set sft.steps={steps} --out {out}-2"
            assert told[1] == command
        assert told[-2].startswith(
            "sft: other share 0.93 (0.863 to 0.966), uncertain, wanted >= 0.9; n = 100, about "
        )
        assert told[-2].endswith(" would decide") and "good share" not in "".join(told)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threads", "0"], ["--threads", "0"]),
        (["--text", "/no/such/text"], ["/no/such/text"]),
        (["--stages", "pretrain,rlhf"], ["--stages", "rlhf", "speciale"]),
        (["--stages", "mixed"], ["distill", "--stages"]),
        (["--stages", "pretrain,sft"], ["--stages has sft, which needs dsa_sparse"]),
        (["--set", "distill.stepz=9"], ["override: unknown key distill.stepz; did you mean distill.steps?"]),
        (
            ["--set", "distill.teachers.code=9"],
            ["distill.teachers.code", "no such stage", "specialist_math"],
        ),
        (["--from", "/no/such/run"], ["--from /no/such/run", "holds no run"]),
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
    assert not (tmp_path / "run").exists()


def test_a_wrong_recipe_names_its_key(tmp_path):
    recipe = tmp_path / "mine.toml"
    text = find_recipe("tiny").read_text()
    for wrong, words in (
        (text + "\nrewards = 1\n", ["speciale.rewards"]),
        (text.replace("steps = 900", "steps = -1"), ["pretrain.steps", "-1"]),
        (text.replace('preset = "tiny"', 'preset = "huge"'), ["huge", "tiny"]),
        (
            'extends = "tiny"\n[[stage]]\nname = "distill"\nstepz = 9\n',
            ["unknown key distill.stepz; did you mean distill.steps?"],
        ),
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
