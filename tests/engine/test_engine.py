"""The engine against the plain forward pass: same logits, whatever the chunks, the cache and the neighbours."""

import asyncio
import itertools

import numpy as np
import pytest
import torch

from baleen.config import ModelConfig, UserError
from baleen.config.engine import EngineConfig, SamplingParams
from baleen.engine import AsyncEngine, Engine
from baleen.model import Record, Transformer

TOPK = 8


@pytest.fixture(scope="module")
def model() -> Transformer:
    config = ModelConfig.preset("tiny", index_topk=TOPK, vocab_size=64)
    model = Transformer(config).initialise(torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # confident enough that samples differ from noise
    return model


def prompts(count: int, low: int = 3, high: int = 70, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(2, 64, rng.integers(low, high)).tolist() for _ in range(count)]


def full_logprobs(model: Transformer, ids: list[int], prompt: int) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([ids]))[0, prompt - 1 : -1].double().log_softmax(-1)


GREEDY = SamplingParams(max_tokens=24, temperature=0, ignore_eos=True)


def test_cached_decode_equals_the_full_forward_beyond_index_topk(model):
    for result in Engine(model, EngineConfig()).generate(prompts(9), GREEDY):
        ids = result.prompt_ids + result.token_ids
        assert len(ids) > TOPK
        expected = full_logprobs(model, ids, len(result.prompt_ids))
        assert result.token_ids == expected.argmax(-1).tolist()
        chosen = expected.gather(1, torch.tensor(result.token_ids)[:, None])[:, 0]
        assert torch.allclose(torch.tensor(result.logprobs).double(), chosen, atol=1e-5)


@pytest.mark.parametrize("budget,caching,blocks", [(7, True, 4096), (64, False, 4096), (4096, True, 30), (16, False, 30)])
def test_chunks_prefix_cache_and_preemption_change_nothing(model, budget, caching, blocks):
    batch = prompts(12)
    batch += [batch[0][:20] + tail for tail in prompts(6, seed=1)] + [batch[3]]
    params = [
        SamplingParams(max_tokens=20, temperature=0.8, top_p=0.9, seed=seed, ignore_eos=True) for seed in range(len(batch))
    ]
    expected = Engine(model, EngineConfig(enable_prefix_caching=False)).generate(batch, params)
    engine = Engine(
        model, EngineConfig(max_num_batched_tokens=budget, enable_prefix_caching=caching, num_blocks=blocks)
    )
    free = engine.num_free_blocks
    for got, want in zip(engine.generate(batch, params), expected, strict=True):
        assert got.token_ids == want.token_ids
        assert np.allclose(got.logprobs, want.logprobs, atol=1e-5)
        assert np.array_equal(got.routed_experts, want.routed_experts)
    assert engine.num_free_blocks == free


def test_prefix_cache_is_hit_within_a_group_and_after_it(model):
    engine = Engine(model, EngineConfig())
    prompt = prompts(1, 60, 61)[0]
    group = engine.generate([prompt] * 4, GREEDY)
    assert [result.num_cached_tokens for result in group] == [0, 48, 48, 48]
    engine.reset_prefix_cache()
    assert engine.generate([prompt], GREEDY)[0].num_cached_tokens == 0


def test_recorded_experts_are_those_of_a_full_forward(model):
    for result in Engine(model, EngineConfig(max_num_batched_tokens=11)).generate(prompts(5), GREEDY):
        record = Record()
        ids = torch.tensor([result.prompt_ids + result.token_ids[:-1]])
        with torch.no_grad():
            model.hidden_states(ids, None, record)
        assert np.array_equal(result.routed_experts, torch.stack(record.routed_experts, 2)[0].numpy())


def test_recorded_logprobs_are_those_of_the_kept_sets(model):
    params = SamplingParams(max_tokens=16, temperature=0.7, top_p=0.8, top_k=20, seed=3, ignore_eos=True)
    for result in Engine(model, EngineConfig()).generate(prompts(4), params):
        expected = full_logprobs(model, result.prompt_ids + result.token_ids, len(result.prompt_ids)) / 0.7
        kept = result.kept
        assert kept is not None
        for i, (begin, end) in enumerate(itertools.pairwise(kept.offsets)):
            ids = torch.from_numpy(kept.token_ids[begin:end]).long()
            assert 1 <= len(ids) <= 20
            assert result.token_ids[i] in ids
            logprobs = expected[i, ids].log_softmax(-1)
            assert result.logprobs[i] == pytest.approx(logprobs[ids == result.token_ids[i]].item(), abs=1e-5)


def test_sampling_follows_the_distribution(model):
    prompt = prompts(1)[0]
    params = [SamplingParams(max_tokens=1, temperature=1.5, seed=seed, ignore_eos=True) for seed in range(4000)]
    drawn = [r.token_ids[0] for r in Engine(model, EngineConfig()).generate([prompt] * 4000, params)]
    with torch.no_grad():
        expected = (model(torch.tensor([prompt]))[0, -1] / 1.5).softmax(-1).numpy()
    counts = np.bincount(drawn, minlength=64) / 4000
    assert np.abs(counts - expected).max() < 4 * 0.5 / 4000**0.5


def test_abort_frees_the_blocks(model):
    engine = Engine(model, EngineConfig())
    free = engine.num_free_blocks
    running, waiting = (engine.add_request(p, GREEDY) for p in prompts(2))
    engine.step()
    late = engine.add_request([5, 6], GREEDY)
    for request_id in (running, waiting, late, "unknown"):
        engine.abort(request_id)
    assert engine.num_free_blocks == free
    assert not engine.has_unfinished()
    assert engine.result(running).finish_reason == "abort"


@pytest.mark.parametrize("prompt,word", [([], "empty"), ([70], "0..63"), ([1] * 5000, "max_model_len")])
def test_impossible_prompts_are_refused(model, prompt, word):
    with pytest.raises(UserError, match=word):
        Engine(model, EngineConfig()).add_request(prompt, GREEDY)


def test_impossible_parameters_name_field_and_value():
    with pytest.raises(UserError, match=r"top_p = 1.5"):
        SamplingParams.checked(top_p=1.5)


@pytest.mark.parametrize("in_thread", [False, True])
def test_concurrent_coroutines_share_steps(model, in_thread):
    batch = prompts(10)
    expected = [r.token_ids for r in Engine(model, EngineConfig()).generate(batch, GREEDY)]
    engine = Engine(model, EngineConfig())
    steps = 0
    plain_step = engine.step

    def counted():
        nonlocal steps
        steps += 1
        return plain_step()

    engine.step = counted

    async def run():
        front = AsyncEngine(engine, in_thread)
        return await asyncio.gather(*(front.generate(p, GREEDY) for p in batch))

    assert [r.token_ids for r in asyncio.run(run())] == expected
    assert steps < 3 * 24


def test_leaving_a_stream_frees_its_blocks(model):
    engine = Engine(model, EngineConfig())
    free = engine.num_free_blocks

    async def run():
        front = AsyncEngine(engine, in_thread=True)
        stream = front.stream([3, 4, 5], SamplingParams(max_tokens=500, ignore_eos=True))
        async for _ in stream:
            break
        await stream.aclose()
        return await front.generate([3, 4, 6], GREEDY)

    assert len(asyncio.run(run()).token_ids) == 24
    assert engine.num_free_blocks == free
