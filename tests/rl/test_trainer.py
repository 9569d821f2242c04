"""The loop: it learns what is rewarded, goes on where it was stopped, and leaves alone what teaches nothing."""

import copy
import dataclasses
import random

import numpy as np
import pytest
import torch

from baleen.config import ModelConfig, UserError
from baleen.config.stages import RLStage, TaskShare
from baleen.environments import sample_task
from baleen.model import Transformer
from baleen.rl import train_rl, trainer
from baleen.train import Checkpoints, Interrupted, Surroundings, Workers

STAGE = RLStage(
    tasks={"sum": TaskShare(difficulties=(3,))},
    steps=12,
    prompts=2,
    group=8,
    updates=2,
    adam_lr=6e-3,
    max_tokens=12,
    checkpoint_every=3,
)


@pytest.fixture
def model(tokenizer):
    config = ModelConfig.preset(
        "tiny", vocab_size=tokenizer.vocab_size, index_topk=8, num_nextn_predict_layers=0
    )
    return Transformer(config).initialise(torch.Generator().manual_seed(0))


@pytest.fixture
def even_is_good(monkeypatch):
    """A model of random weights solves no task: here its reward is the share of even ids that it says."""
    collect = trainer.collect

    def judged(*arguments):
        for trajectory in collect(*arguments):
            ids = [token for turn in trajectory.turns for token in turn.completion.token_ids]
            yield dataclasses.replace(trajectory, reward=float(np.mean([token % 2 == 0 for token in ids])))

    monkeypatch.setattr(trainer, "collect", lambda *arguments: list(judged(*arguments)))


def run(model, tokenizer, folder, stop_at: int = -1, **changes) -> list[dict[str, float]]:
    """Train on one thread; the scalars of every step that was run."""
    lines: list[dict[str, float]] = []
    around = Surroundings(
        Workers(1),
        Checkpoints(folder),
        log=lambda step, scalars: lines.append(scalars | {"step": step}),
        should_stop=lambda: bool(lines) and lines[-1]["step"] == stop_at,
    )

    def tasks(step: int):
        return [sample_task("sum", 3, random.Random(f"{step} {i}"), "train") for i in range(STAGE.prompts)]

    train_rl(model, tokenizer, STAGE.model_copy(update=changes), tasks, around, seed=0)
    return lines


def test_what_is_rewarded_grows(model, tokenizer, even_is_good, tmp_path):
    rewards = [line["reward"] for line in run(model, tokenizer, tmp_path)]
    assert np.mean(rewards[-3:]) > np.mean(rewards[:3]) + 0.1, rewards


def test_a_run_stopped_between_checkpoints_ends_like_a_whole_one(model, tokenizer, even_is_good, tmp_path):
    stopped, resumed = copy.deepcopy(model), copy.deepcopy(model)
    lines = run(model, tokenizer, tmp_path / "whole")
    with pytest.raises(Interrupted):
        run(stopped, tokenizer, tmp_path / "stopped", stop_at=4)
    rest = run(resumed, tokenizer, tmp_path / "stopped")

    assert [line["step"] for line in rest] == list(range(5, STAGE.steps))
    watched = ("reward", "kl", "grad_norm", "clipped")
    for one, other in zip(lines[5:], rest, strict=True):
        assert all(one[name] == other[name] for name in watched)
    assert all(line["grad_norm"] > 0 for line in lines)
    pairs = zip(model.parameters(), resumed.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_deterministic_steps_see_no_mismatch_at_all(model, tokenizer, kernels, even_is_good, tmp_path):
    lines = run(model, tokenizer, tmp_path, deterministic=True)
    assert [line["mean_abs_dlogp"] for line in lines] == [0.0] * STAGE.steps
    rewards = [line["reward"] for line in lines]
    assert np.mean(rewards[-3:]) > np.mean(rewards[:3]) + 0.1, rewards


def test_deterministic_without_a_compiler_says_what_to_do(model, tokenizer, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer, "can_pack", lambda: False)
    with pytest.raises(UserError, match="deterministic = true needs a C.. compiler; install one"):
        run(model, tokenizer, tmp_path, deterministic=True)


def test_groups_that_did_equally_well_change_nothing(model, tokenizer, tmp_path):
    before = copy.deepcopy(model.state_dict())
    lines = run(model, tokenizer, tmp_path)
    assert all(line["zero_advantage_groups"] == 1.0 for line in lines)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_rollout_ends_after_the_turns_of_its_stage(model, tokenizer, monkeypatch, tmp_path):
    turns: list[int] = []
    collect = trainer.collect

    def watched(*arguments):
        turns.append(arguments[5].max_turns)
        return collect(*arguments)

    monkeypatch.setattr(trainer, "collect", watched)
    run(model, tokenizer, tmp_path, steps=1, max_turns=3)
    assert turns == [3]
