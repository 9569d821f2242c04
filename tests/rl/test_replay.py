"""What the engine sampled, the trainer recomputes: log-probabilities, experts, sampling sets."""

import asyncio
import random

import numpy as np
import pytest
import torch

from baleen.agent import EnginePolicy, Limits, rollout_all
from baleen.config import EngineConfig, ModelConfig, SamplingParams
from baleen.config.data import TaskShare
from baleen.config.stages import RLStage
from baleen.engine import AsyncEngine, Engine
from baleen.environments import environment_for, sample_task
from baleen.model import Transformer, prepack
from baleen.rl import EngineSampler, collate, sample_groups
from baleen.rl.bitwise import bitwise_logprobs, straight_through
from baleen.rl.learner import hidden_states, sampled_logits, sampled_logprobs

STAGE = RLStage(tasks={"sum": TaskShare(difficulties=(3,))}, steps=1)


@pytest.fixture(scope="module")
def played(tokenizer):
    """A model of random weights, longer contexts than its index_topk, and what it sampled in them."""
    config = ModelConfig.preset(
        "tiny", vocab_size=tokenizer.vocab_size, index_topk=8, index_n_heads=16, num_nextn_predict_layers=0
    )
    model = Transformer(config).initialize(torch.Generator().manual_seed(0)).eval()
    tasks = [sample_task("sum", 3, random.Random(i), "train") for i in range(6)]
    params = [SamplingParams(max_tokens=20 + 5 * i, top_p=0.8, seed=i) for i in range(6)]
    engine = Engine(model, EngineConfig(num_blocks=256, record_selection=True), tokenizer.eos_token_id)
    policy = EnginePolicy(AsyncEngine(engine), tokenizer)
    environments = [environment_for(task) for task in tasks]
    trajectories = asyncio.run(
        rollout_all(policy, tokenizer, environments, "thinking", params, Limits(4, 400))
    )
    return model, [sample for t in trajectories for sample in t.samples(1.0)]


def samples_of(model, tokenizer, stage, tasks):
    sampler = EngineSampler(tokenizer, stage)
    sampler.update_weights(model, version=3)
    return [sample for t in sample_groups(sampler, stage, tasks, (0,)).played for sample in t.samples(1.0)]


def recomputed(model, batch, stage) -> torch.Tensor:
    """The trainer's log-probabilities."""
    logits = sampled_logits(model, hidden_states(model, batch, stage), batch, stage)
    return sampled_logprobs(logits, batch, stage)


def mismatch(model, rollouts, **changes) -> float:
    batch = collate(rollouts, model.config.vocab_size)
    with torch.no_grad():
        new = recomputed(model, batch, STAGE.model_copy(update=changes))
    return float((new - batch.rollout_logprobs).abs().mean())


def test_the_trainer_recomputes_the_engines_log_probabilities(played):
    model, rollouts = played
    assert all(len(rollout.token_ids) > model.config.index_topk for rollout in rollouts)
    assert mismatch(model, rollouts) < 1e-5


def test_without_the_sampling_mask_the_ratio_is_biased(played):
    model, rollouts = played
    # top_p 0.8 keeps at least 0.8 of the mass: uncut log-probabilities are lower by up to ln(1/0.8)
    assert 0.05 < mismatch(model, rollouts, keep_sampling_mask=False) < 0.2232


def test_kept_routing_is_the_engines_whatever_the_router_says_now(played):
    model, rollouts = played
    biases = [
        module.e_score_correction_bias
        for module in model.modules()
        if hasattr(module, "e_score_correction_bias")
    ]
    saved = [bias.clone() for bias in biases]
    generator = torch.Generator().manual_seed(1)
    for bias in biases:
        bias.add_(torch.rand(bias.shape, generator=generator))
    try:
        assert mismatch(model, rollouts) < 1e-5  # the bias chooses experts and does nothing else
        assert mismatch(model, rollouts, keep_routing=False) > 1e-3
    finally:
        for bias, value in zip(biases, saved, strict=True):
            bias.copy_(value)


def test_kept_selection_is_the_engines_whatever_the_indexer_says_now(played):
    model, rollouts = played
    weights = [
        layer.self_attn.indexer.wq_b.weight for layer in model.model.layers[: model.config.num_hidden_layers]
    ]
    saved = [weight.clone() for weight in weights]
    with torch.no_grad():
        for weight in weights:
            weight.neg_()
    try:
        assert mismatch(model, rollouts, keep_selection=True) < 1e-5
        assert mismatch(model, rollouts) > 1e-3
    finally:
        with torch.no_grad():
            for weight, value in zip(weights, saved, strict=True):
                weight.copy_(value)


@pytest.mark.parametrize("topk", [8, 64, 512])
def test_kept_selection_gives_the_engines_ratios_at_every_context(tokenizer, topk):
    """Contexts shorter and longer than index_topk, rows on both sides of where masks stop paying."""
    config = ModelConfig.preset("tiny", vocab_size=tokenizer.vocab_size, index_topk=topk)
    model = Transformer(config).initialize(torch.Generator().manual_seed(0)).eval()
    tasks = [sample_task("sum", 3, random.Random(i), "train") for i in range(6)]
    stage = STAGE.model_copy(update={"keep_selection": True, "group_size": 2, "max_tokens": 40})
    rollouts = samples_of(model, tokenizer, stage, tasks)
    assert any(len(r.token_ids) < topk for r in rollouts) == (topk > 8)
    assert mismatch(model, rollouts, keep_selection=True) < 1e-5


@pytest.mark.parametrize("selection", [False, True])
def test_deterministic_log_probabilities_are_the_engines_bits(tokenizer, kernels, played, selection):
    model, _ = played
    changes = {"deterministic": True, "keep_selection": selection}
    stage = STAGE.model_copy(update=changes | {"top_p": 0.8, "max_tokens": 30, "group_size": 3})
    tasks = [sample_task("sum", 3, random.Random(i), "train") for i in range(4)]
    rollouts = samples_of(model, tokenizer, stage, tasks)
    batch = collate(rollouts, model.config.vocab_size)
    exact = bitwise_logprobs(prepack(model, "float32"), batch, stage)
    assert len(exact) > 100 and torch.equal(exact, batch.rollout_logprobs)
    plain = recomputed(model, batch, stage)
    assert not torch.equal(plain, batch.rollout_logprobs)
    # the gradient is the plain one's, the value the exact one's
    straight_through(plain, exact).sum().backward()
    found = model.lm_head.weight.grad.clone()
    model.zero_grad()
    recomputed(model, batch, stage).sum().backward()
    assert torch.equal(straight_through(plain, exact), exact) and torch.equal(
        found, model.lm_head.weight.grad
    )
    model.zero_grad()


def test_packing_keeps_every_sampled_token_with_its_own(played):
    model, rollouts = played
    batch = collate(rollouts, model.config.vocab_size, least_length=128)
    assert len(batch.token_ids) < len(rollouts)  # some share a row
    sampled = [np.array(r.token_ids)[np.array(r.loss_mask)] for r in rollouts]
    assert batch.targets.tolist() == np.concatenate(sampled).tolist()
    assert batch.sequence.tolist() == np.repeat(np.arange(len(rollouts)), [len(s) for s in sampled]).tolist()
    assert batch.sampling_mask is not None
    assert bool(batch.sampling_mask.gather(1, batch.targets.unsqueeze(1)).all())
