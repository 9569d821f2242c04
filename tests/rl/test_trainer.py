"""The loop: it learns what is rewarded, goes on where it was stopped, and leaves alone what teaches nothing."""

import copy
import dataclasses
import random

import numpy as np
import pytest
import torch

from baleen.agent import Limits, StopReason
from baleen.config import ModelConfig, UserError
from baleen.config.data import TaskShare
from baleen.config.stages import RLStage
from baleen.environments import sample_task
from baleen.model import Transformer
from baleen.rl import EngineSampler, Groups, sample_groups, sampler, score_groups, train_rl, trainer
from baleen.rl.learner import Learner
from baleen.train import Checkpoints, Interrupted, StageContext, Workers

STAGE = RLStage(
    tasks={"sum": TaskShare(difficulties=(3,))},
    steps=12,
    prompts_per_step=2,
    group_size=8,
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
    return Transformer(config).initialize(torch.Generator().manual_seed(0))


@pytest.fixture
def even_is_good(monkeypatch):
    """A model of random weights solves no task: here its reward is the share of even ids that it says."""
    sample = EngineSampler.sample

    def scored(*arguments):
        for trajectory in sample(*arguments):
            ids = [token for turn in trajectory.turns for token in turn.completion.token_ids]
            yield dataclasses.replace(trajectory, reward=float(np.mean([token % 2 == 0 for token in ids])))

    monkeypatch.setattr(EngineSampler, "sample", lambda *arguments: list(scored(*arguments)))


def run(
    model, tokenizer, folder, stop_at: int = -1, warn=lambda text: None, sampler=None, **changes
) -> list[dict[str, float]]:
    """Train on one thread; the scalars of every step that was run."""
    lines: list[dict[str, float]] = []
    context = StageContext(
        Workers(1),
        Checkpoints(folder),
        log=lambda step, scalars: lines.append(scalars | {"step": step}),
        should_stop=lambda: bool(lines) and lines[-1]["step"] == stop_at,
        warn=warn,
    )

    def tasks(step: int):
        return [
            sample_task("sum", 3, random.Random(f"{step} {i}"), "train")
            for i in range(STAGE.prompts_per_step)
        ]

    stage = STAGE.model_copy(update=changes)
    train_rl(model, sampler or EngineSampler(tokenizer, stage), stage, tasks, context, seed=0)
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
    assert [line["mismatch_abs_logprob"] for line in lines] == [0.0] * STAGE.steps
    rewards = [line["reward"] for line in lines]
    assert np.mean(rewards[-3:]) > np.mean(rewards[:3]) + 0.1, rewards


def test_deterministic_without_a_compiler_says_what_to_do(model, tokenizer, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer, "can_prepack", lambda: False)
    with pytest.raises(UserError, match="deterministic = true needs a C.. compiler; install one"):
        run(model, tokenizer, tmp_path, deterministic=True)


def test_groups_that_did_equally_well_change_nothing(model, tokenizer, tmp_path):
    before = copy.deepcopy(model.state_dict())
    lines = run(model, tokenizer, tmp_path)
    assert all(line["zero_advantage_groups"] == 1.0 for line in lines)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_rollout_ends_after_the_turns_of_its_stage(model, tokenizer, monkeypatch):
    limits: list[Limits] = []

    async def rollout_all(*arguments):
        limits.append(arguments[-1])
        return []

    monkeypatch.setattr(sampler, "rollout_all", rollout_all)
    stage = STAGE.model_copy(update={"max_turns": 3})
    engine = EngineSampler(tokenizer, stage)
    engine.update_weights(model, version=0)
    engine.sample([], [])
    assert [one.max_turns for one in limits] == [3]


def test_a_rollout_tells_which_weights_sampled_it(model, tokenizer, monkeypatch, tmp_path):
    """One engine lives through the stage, and each step's rollouts carry the step as their version."""
    sample, versions, engines = EngineSampler.sample, [], set()

    def watched(self, *arguments):
        played = sample(self, *arguments)
        versions.append({turn.completion.replay.policy_version for t in played for turn in t.turns})
        engines.add(id(self._engine))
        return played

    monkeypatch.setattr(EngineSampler, "sample", watched)
    run(model, tokenizer, tmp_path, steps=3)
    assert versions == [{0}, {1}, {2}] and len(engines) == 1


@pytest.mark.parametrize("option", ["keep_routing", "keep_selection", "keep_sampling_mask"])
def test_a_sampler_that_records_too_little_is_refused(model, tokenizer, tmp_path, option):
    class Poor(EngineSampler):
        capabilities = EngineSampler.capabilities - {option}

    with pytest.raises(UserError, match=f"{option} = true needs a sampler .* set {option} = false"):
        run(model, tokenizer, tmp_path, sampler=Poor(tokenizer, STAGE), **{option: True})


def test_the_loss_is_the_mean_over_all_groups_unless_told_otherwise(model, tokenizer):
    """One group of four differs in its rewards: its gradient is a quarter of what it is alone."""
    tasks = [sample_task("sum", 3, random.Random(i), "train") for i in range(4)]
    stage = STAGE.model_copy(update={"kl": 0.0, "updates": 1, "clip_norm": 1e9})
    engine = EngineSampler(tokenizer, stage)
    engine.update_weights(model, version=0)
    played = sample_groups(engine, stage, tasks, (0,))
    members = [
        [dataclasses.replace(t, reward=float(i == 0 and j % 2)) for j, t in enumerate(group)]
        for i, group in enumerate(played.trajectories)
    ]

    def norm(**changes) -> float:
        changed = stage.model_copy(update=changes)
        scored = score_groups(Groups(members, 0), changed)
        assert scored.metrics["zero_advantage_groups"] == 0.75
        twin = copy.deepcopy(model)
        reference = copy.deepcopy(model) if changed.kl else None
        learner = Learner(twin, reference, changed, Workers(1))
        return learner.learn(scored.samples, scored.count, 0)["grad_norm"]

    alone = norm(average_over="informative")
    assert norm() == pytest.approx(alone / 4, rel=1e-4)
    # with a KL the silent rollouts are learnt from too; here the policy is the reference, so it adds nothing
    assert len(score_groups(Groups(members, 0), stage.model_copy(update={"kl": 0.1})).samples) == 32
    assert norm(kl=0.1) == pytest.approx(alone / 4, rel=1e-3)


def test_what_each_update_did_is_told(model, tokenizer, even_is_good, tmp_path):
    for line in run(model, tokenizer, tmp_path, steps=2, updates=3):
        assert line["mismatch_abs_logprob"] < 1e-5 < line["drift_abs_logprob"] <= line["max_abs_logprob"]
        assert line["clipped_1"] == 0.0 and {"clipped_2", "clipped_3", "offpolicy_masked_3"} <= set(line)


def test_rollouts_that_the_infrastructure_failed_are_played_again(model, tokenizer, monkeypatch, tmp_path):
    sample, calls = EngineSampler.sample, []

    def failing(*arguments):
        played = sample(*arguments)
        calls.append(len(played))
        broken = 5 if len(calls) % 2 else 0  # every first round of a step loses five
        return [
            dataclasses.replace(t, reward=None, stop_reason=StopReason.TOOL_ERROR) if i < broken else t
            for i, t in enumerate(played)
        ]

    monkeypatch.setattr(EngineSampler, "sample", failing)
    lines = run(model, tokenizer, tmp_path, steps=2)
    assert calls == [16, 5, 16, 5]
    assert [line["infrastructure_failures"] for line in lines] == [5 / 16] * 2
    assert all(0 < line["cut_answers"] <= 1 for line in lines)  # random weights seldom end an answer


def test_a_stage_that_learns_nothing_says_so_and_ends(model, tokenizer, monkeypatch, tmp_path):
    monkeypatch.setattr(trainer, "STOP_AFTER", 7)
    told: list[str] = []
    with pytest.raises(UserError, match="nothing was learned in 7 steps.* raise max_tokens .12."):
        run(model, tokenizer, tmp_path, warn=told.append)
    assert len(told) == 1 and "in 5 steps" in told[0]
    assert Checkpoints(tmp_path).latest() is not None


def test_the_mtp_layer_follows_the_policy_which_does_not_feel_it(tokenizer, even_is_good, tmp_path):
    config = ModelConfig.preset("tiny", vocab_size=tokenizer.vocab_size, index_topk=8)
    alone = Transformer(config).initialize(torch.Generator().manual_seed(0))
    along, before = copy.deepcopy(alone), copy.deepcopy(alone)
    run(alone, tokenizer, tmp_path / "alone", steps=3)
    lines = run(along, tokenizer, tmp_path / "along", steps=3, mtp_loss_weight=1.0)
    assert all(line["mtp_loss"] > 0 for line in lines)
    of_mtp = f"model.layers.{config.num_hidden_layers}."
    for name, parameter in along.named_parameters():
        if not name.startswith(of_mtp):
            assert torch.equal(parameter, alone.get_parameter(name)), name
        elif name.endswith("eh_proj.weight"):
            assert torch.equal(alone.get_parameter(name), before.get_parameter(name))
            assert not torch.equal(parameter, before.get_parameter(name))
