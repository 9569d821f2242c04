"""Packed weights give a request the same bits whatever happens around it; plain PyTorch does not."""

import random
from collections import Counter

import pytest
import torch

from baleen.config import EngineConfig, ModelConfig, SamplingParams, UserError
from baleen.engine import Engine, GenerationResult
from baleen.model import Transformer

LENGTHS = [3, 17, 40, 41, 90, 130]  # index_topk is 24
VOCAB = 16
PREFIX = 32  # tokens that some prompts share

pytestmark = pytest.mark.usefixtures("kernels")


@pytest.fixture(scope="module")
def model() -> Transformer:
    # few tokens: the MTP layer of random weights is right now and then
    config = ModelConfig.preset("tiny", vocab_size=VOCAB, index_topk=24)
    return Transformer(config).initialize(torch.Generator().manual_seed(0)).eval()


def requests() -> list[tuple[list[int], SamplingParams]]:
    draw = random.Random(1)
    prefix = [draw.randrange(2, VOCAB) for _ in range(PREFIX)]
    found = []
    for i, length in enumerate(LENGTHS * 2):
        own = [draw.randrange(2, VOCAB) for _ in range(length)]
        params = SamplingParams(
            max_tokens=4 + i, temperature=i % 3 / 2, top_p=0.9 if i % 2 else 1.0, seed=i, ignore_eos=True
        )
        found.append(((prefix + own[PREFIX:]) if length > PREFIX else own, params))
    return found


def bits(result: GenerationResult) -> tuple[list[int], list[str], list[int]]:
    return result.token_ids, [x.hex() for x in result.logprobs], result.routed_experts.flatten().tolist()


PLAIN = {"backend": "torch"}


def alone(model: Transformer, **how: str) -> list[tuple]:
    """Each request by itself, its prompt in one piece. how: fields of the config."""
    config = EngineConfig(**how, enable_prefix_caching=False)
    return [bits(Engine(model, config).generate([prompt], params)[0]) for prompt, params in requests()]


def trial(model: Transformer, seed: int, guesses: Counter | None = None, **how: str) -> list[tuple]:
    """All requests, arriving at random between the steps of a small engine that preempts and guesses now and then."""
    draw = random.Random(seed)
    config = EngineConfig(
        **how,
        block_size=draw.choice([1, 4, 16]),
        num_blocks=draw.choice([300, 4096]),
        max_num_seqs=draw.randint(1, 12),
        max_num_batched_tokens=draw.choice([1, 7, 33, 64, 4096]),
        enable_prefix_caching=draw.random() < 0.6,
        speculative=draw.random() < 0.5,
        check_cache=True,
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
    if guesses is not None:
        guesses.update(drafted=engine.num_drafted, accepted=engine.num_accepted)
    return [bits(engine.result(ids[number])) for number in range(len(ids))]


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_long_prompts_are_computed_block_by_block_to_the_same_bits(model, weights):
    draw = random.Random(2)
    prompts = [[draw.randrange(2, VOCAB) for _ in range(length)] for length in (1100, 200, 1300, 200, 200)]
    params = SamplingParams(max_tokens=2, temperature=0, ignore_eos=True)
    together, in_pieces = (
        Engine(model, EngineConfig(weight_dtype=weights, max_num_batched_tokens=chunk)).generate(
            prompts, params
        )
        for chunk in (4096, 96)
    )
    assert list(map(bits, together)) == list(map(bits, in_pieces))


@pytest.mark.parametrize("weights", ["float32", "bfloat16", "int8"])
def test_the_same_bits_in_any_company(model, weights):
    expected = alone(model, weight_dtype=weights)
    guesses: Counter = Counter()
    for seed in range(12):
        found = trial(model, seed, guesses, weight_dtype=weights)
        for number, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
            assert ours == theirs, f"trial {seed}, request {number}"
    assert 0 < guesses["accepted"] < guesses["drafted"]


def test_plain_pytorch_is_found_to_differ(model):
    expected = alone(model, **PLAIN)
    assert any(trial(model, seed, **PLAIN) != expected for seed in range(4))


def test_packed_float32_computes_what_plain_pytorch_does(model):
    for (tokens, logprobs, _), (plain, others, _) in zip(
        alone(model, weight_dtype="float32"), alone(model, **PLAIN), strict=True
    ):
        assert tokens == plain
        assert all(
            abs(float.fromhex(a) - float.fromhex(b)) < 1e-4 for a, b in zip(logprobs, others, strict=True)
        )


def test_speculation_needs_an_mtp_layer(model):
    plain = Transformer(model.config.replace(num_nextn_predict_layers=0))
    with pytest.raises(UserError, match="speculative=True needs an MTP layer"):
        Engine(plain, EngineConfig(speculative=True))


def test_a_guess_that_is_always_right_halves_the_steps(model, monkeypatch):
    """The MTP layer is replaced by an oracle: what is handed out stays the same, in half as many steps."""
    prompt, params = list(range(2, 12)), SamplingParams(max_tokens=21, temperature=0, ignore_eos=True)
    expected = Engine(model, EngineConfig(weight_dtype="float32")).generate([prompt], params)[0].token_ids
    engine = Engine(model, EngineConfig(weight_dtype="float32", speculative=True))

    def oracle(work):
        for item in work:
            known = item.sequence.num_sampled
            item.sequence.draft = expected[known] if known + 1 < len(expected) else None

    monkeypatch.setattr(engine._runner, "draft", oracle)
    request_id = engine.add_request(prompt, params)
    steps = 0
    while engine.has_unfinished():
        engine.step()
        steps += 1
    assert engine.result(request_id).token_ids == expected
    assert steps == 11 and engine.num_accepted == engine.num_drafted == 10
