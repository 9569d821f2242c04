"""Packed weights give a request the same bits whatever happens around it; plain PyTorch does not."""

import random

import pytest
import torch

from baleen.config import EngineConfig, ModelConfig, SamplingParams
from baleen.engine import Engine, GenerationResult
from baleen.model import Transformer
from baleen.ops import cpu

LENGTHS = [3, 17, 40, 41, 90, 130]  # index_topk is 24
PREFIX = 32  # tokens that some prompts share


@pytest.fixture(scope="module")
def model() -> Transformer:
    assert cpu.available(), "deterministic serving needs a C++ compiler: apt install g++"
    config = ModelConfig.preset("tiny", vocab_size=160, index_topk=24, num_nextn_predict_layers=0)
    return Transformer(config).initialise(torch.Generator().manual_seed(0)).eval()


def requests() -> list[tuple[list[int], SamplingParams]]:
    draw = random.Random(1)
    prefix = [draw.randrange(2, 160) for _ in range(PREFIX)]
    found = []
    for i, length in enumerate(LENGTHS * 2):
        own = [draw.randrange(2, 160) for _ in range(length)]
        params = SamplingParams(
            max_tokens=4 + i, temperature=i % 3 / 2, top_p=0.9 if i % 2 else 1.0, seed=i, ignore_eos=True
        )
        found.append(((prefix + own[PREFIX:]) if length > PREFIX else own, params))
    return found


def bits(result: GenerationResult) -> tuple[list[int], list[str], list[int]]:
    return result.token_ids, [x.hex() for x in result.logprobs], result.routed_experts.flatten().tolist()


def alone(model: Transformer, weights: str | None) -> list[tuple]:
    """Each request by itself, its prompt in one piece."""
    config = EngineConfig(weights=weights, enable_prefix_caching=False)
    return [bits(Engine(model, config).generate([prompt], params)[0]) for prompt, params in requests()]


def trial(model: Transformer, weights: str | None, seed: int) -> list[tuple]:
    """All requests, arriving at random between the steps of a small engine that preempts now and then."""
    draw = random.Random(seed)
    config = EngineConfig(
        weights=weights,
        block_size=draw.choice([1, 4, 16]),
        num_blocks=draw.choice([300, 4096]),
        max_num_seqs=draw.randint(1, 12),
        max_num_batched_tokens=draw.choice([1, 7, 33, 64, 4096]),
        enable_prefix_caching=draw.random() < 0.6,
    )
    preempt_every = draw.choice([0, 2, 3, 7])
    engine = Engine(model, config)
    waiting = list(enumerate(requests()))
    draw.shuffle(waiting)
    ids: dict[int, str] = {}
    steps = 0
    while waiting or engine.has_unfinished():
        for _ in range(draw.choice([0, 0, 1, 3, 12])):
            if waiting:
                number, (prompt, params) = waiting.pop()
                ids[number] = engine.add_request(prompt, params)
        engine.step()
        steps += 1
        running = engine._scheduler.running
        if preempt_every and steps % preempt_every == 0 and len(running) > 1:  # the first goes on: progress
            engine._scheduler._preempt(max(running, key=lambda one: one.arrival))
    assert engine.num_free_blocks == config.num_blocks - 1
    return [bits(engine.result(ids[number])) for number in range(len(ids))]


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_the_same_bits_in_any_company(model, weights):
    expected = alone(model, weights)
    for seed in range(12):
        for number, (ours, theirs) in enumerate(zip(trial(model, weights, seed), expected, strict=True)):
            assert ours == theirs, f"trial {seed}, request {number}"


def test_plain_pytorch_is_found_to_differ(model):
    expected = alone(model, None)
    assert any(trial(model, None, seed) != expected for seed in range(4))


def test_packed_float32_computes_what_plain_pytorch_does(model):
    for (tokens, logprobs, _), (plain, others, _) in zip(
        alone(model, "float32"), alone(model, None), strict=True
    ):
        assert tokens == plain
        assert all(
            abs(float.fromhex(a) - float.fromhex(b)) < 1e-4 for a, b in zip(logprobs, others, strict=True)
        )


def test_without_a_compiler_the_plain_model_serves(model, monkeypatch):
    monkeypatch.setattr(cpu, "available", lambda: False)
    assert Engine(model, EngineConfig(weights="int8")).model is model
