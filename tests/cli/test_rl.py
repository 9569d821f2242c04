"""Reinforcement learning of a finished model on task files and families, from the command line."""

import json
import random
from pathlib import Path

import pytest
import torch

from baleen.chat import train_tokenizer
from baleen.cli.main import main
from baleen.config import ModelConfig
from baleen.config.recipe import load_toml
from baleen.config.stages import Recipe, RLRun
from baleen.environments import sample_task
from baleen.model import Transformer, load_model, save_model

RECIPES = Path(__file__).parents[2] / "recipes"
RECIPE = """
heldout = 4
[stage]
steps = 2
prompts = 4
group = 2
max_tokens = 8
checkpoint_every = 1
tasks.general = { difficulties = [1, 3] }
[evaluation]
attempts = 2
max_tokens = 8
tasks.general = [2]
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model of random weights, task files of two kinds, a recipe."""
    tokenizer = train_tokenizer(["Add 7+5. name result"] * 2, 300, tmp_path / "model")
    config = ModelConfig.preset("tiny", vocab_size=tokenizer.vocab_size, num_nextn_predict_layers=0)
    save_model(Transformer(config).initialise(torch.Generator().manual_seed(0)), tmp_path / "model")
    for family, levels in (("sum", (3, 4)), ("general", (1, 2))):
        rng = random.Random(0)
        tasks = [sample_task(family, rng.choice(levels), rng, split) for split in ("train", "heldout") * 3]
        (tmp_path / family).mkdir()
        (tmp_path / family / "tasks.jsonl").write_text(
            "".join(json.dumps(task.to_row()) + "\n" for task in tasks)
        )
    (tmp_path / "rl.toml").write_text(RECIPE)
    return tmp_path


def command(folder: Path, *arguments: str) -> int:
    files = [f"--tasks={folder / family / 'tasks.jsonl'}" for family in ("sum", "general")]
    words = ["rl", str(folder / "model"), *files, "--out", str(folder / "run"), "--threads", "1"]
    return main([*words, "--recipe", str(folder / "rl.toml"), *arguments])


def test_a_model_is_trained_on_files_and_families_and_asked_before_and_after(folder, capsys):
    assert command(folder) == 1  # random weights solve nothing, before or after
    told = capsys.readouterr().out
    assert "held-out accuracy 0.000 -> 0.000 (n = 6)" in told and "general" in told
    records = [json.loads((folder / "run" / "stages" / f"{n}.json").read_text()) for n in ("before", "after")]
    for record in records:
        assert [answer["domain"] for answer in record["answers"]] == ["math"] * 3 + ["general"] * 3
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1]
    assert load_model(folder / "run" / "model").config == load_model(folder / "model").config
    # the same command finds everything done
    assert command(folder) == 1
    assert (folder / "run" / "metrics.jsonl").read_text().splitlines() == lines


def test_what_cannot_be_trained_is_one_line(folder, capsys):
    (folder / "rl.toml").write_text("[stage]\nsteps = 2\n[evaluation]\nattempts = 2\n")
    words = ["rl", str(folder / "model"), "--out", str(folder / "empty"), "--recipe", str(folder / "rl.toml")]
    assert main(words) == 1
    assert "nothing to train on; give --tasks" in capsys.readouterr().err
    rows = (folder / "sum" / "tasks.jsonl").read_text().splitlines()
    (folder / "sum" / "tasks.jsonl").write_text("\n".join(row for row in rows if '"train"' in row) + "\n{}\n")
    assert main([*words[:2], "--tasks", str(folder / "sum" / "tasks.jsonl"), *words[2:]]) == 1
    assert "tasks.jsonl, line 4: a task's row lacks id" in capsys.readouterr().err
    assert main(["rl", str(folder / "nowhere")]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_the_recipes_beside_the_package_can_be_read():
    assert load_toml(RECIPES / "rl_general.toml", RLRun).stage.tasks["general"].difficulties == (1, 2)
    general = load_toml(RECIPES / "general.toml", Recipe)
    assert general.base_data.text_share == load_toml(RECIPES / "tiny.toml", Recipe).base_data.text_share
    assert set(general.chat_data.styles) == {"full", "direct"}
