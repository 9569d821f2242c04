"""The engine against the plain forward pass of the real model, at contexts well beyond index_topk."""

import copy
import itertools

import numpy as np
import pytest
import torch

from baleen.config import ModelConfig, UserError
from baleen.config.engine import EngineConfig, SamplingParams
from baleen.engine import Engine, GenerationResult
from baleen.model import AttentionMetadata, LatentCache, Paged, Record, Transformer

TOPK = 8
GREEDY = SamplingParams(max_tokens=24, temperature=0, ignore_eos=True)


@pytest.fixture(scope="module")
def model() -> Transformer:
    config = ModelConfig.preset("tiny", index_topk=TOPK, vocab_size=64)
    model = Transformer(config).initialize(torch.Generator().manual_seed(0)).eval()
    with torch.no_grad():
        model.lm_head.weight.mul_(10)  # confident enough that samples differ from noise
    return model


def test_stop_strings_end_a_completion_where_its_text_completes_them(model):
    alphabet = [chr(97 + i % 26) + ("é" if i % 7 == 0 else "") for i in range(64)]
    engine = Engine(
        model, EngineConfig(backend="torch"), decode=lambda ids: "".join(alphabet[i] for i in ids)
    )
    (free,) = engine.generate([[5, 6, 7]], SamplingParams(max_tokens=40, seed=3, ignore_eos=True))
    text = "".join(alphabet[i] for i in free.token_ids)
    stop = text[17:22]
    first = next(n for n in range(41) if stop in "".join(alphabet[i] for i in free.token_ids[:n]))
    params = SamplingParams(max_tokens=40, seed=3, stop=("never~", stop), ignore_eos=True)
    (stopped,) = engine.generate([[5, 6, 7]], params)
    assert stopped.finish_reason == "stop" and stopped.token_ids == free.token_ids[:first]
    assert stopped.logprobs == free.logprobs[:first] and first < 40
    with pytest.raises(UserError, match="stop has 'x'.*decode"):
        Engine(model, EngineConfig(backend="torch")).add_request([1], SamplingParams(stop=("x",)))
    with pytest.raises(UserError, match="stop"):
        SamplingParams(stop=("",))


def prompts(count: int, low: int = 3, high: int = 70, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(2, 64, rng.integers(low, high)).tolist() for _ in range(count)]


def full_logprobs(model: Transformer, result: GenerationResult) -> torch.Tensor:
    """[tokens, vocab] of the completion by one uncached forward pass, at temperature 1."""
    with torch.no_grad():
        logits = model(torch.tensor([result.prompt_ids + result.token_ids]))
    return logits[0, len(result.prompt_ids) - 1 : -1].double().log_softmax(-1)


def full_selection(model: Transformer, result: GenerationResult) -> list[list[set[int]]]:
    """[tokens - 1][n_layers] positions that each token reads, by one forward pass."""
    ids = torch.tensor([(result.prompt_ids + result.token_ids)[:-1]])
    layers = model.config.num_hidden_layers
    cache = LatentCache(model.config, ids.numel(), record_selection=True)
    slots = torch.arange(ids.numel()).unsqueeze(0)
    with torch.no_grad():
        model.hidden_states(ids, AttentionMetadata(slots, paged=Paged(cache, slots, slots)))
    assert cache.selected is not None
    return [[set(row[layer].tolist()) - {-1} for layer in range(layers)] for row in cache.selected]


def full_experts(model: Transformer, result: GenerationResult) -> np.ndarray:
    record = Record()
    with torch.no_grad():
        model.hidden_states(torch.tensor([(result.prompt_ids + result.token_ids)[:-1]]), None, record)
    return torch.stack(record.routed_experts, 2)[0].numpy()


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_the_record_of_what_was_read_is_the_full_forwards(model, kernels, backend):
    config = EngineConfig(backend=backend, max_num_batched_tokens=50, record_selection=True, speculative=True)
    engine = Engine(model, config)
    shared = prompts(1, 60, 61)[0]
    for result in engine.generate([shared, shared[:40], *prompts(3)], GREEDY):
        assert result.selected is not None and result.selected.dtype == np.int32
        found = [[set(layer.tolist()) - {-1} for layer in token] for token in result.selected]
        assert found == full_selection(model, result)
        assert all(len(layer) == min(t + 1, TOPK) for t, token in enumerate(found) for layer in token)


# a budget of 4096 computes prompts whole (masked MHA up to 4 index_topk, gathered latents beyond), 200 and 50
# in padded pieces, 7 in pieces that join the decode pass
@pytest.mark.parametrize("budget", [4096, 200, 50, 7])
def test_cached_decode_equals_the_full_forward_beyond_index_topk(model, budget):
    engine = Engine(model, EngineConfig(backend="torch", max_num_batched_tokens=budget))
    for result in engine.generate(prompts(6) + prompts(2, 290, 300), GREEDY):
        assert len(result.prompt_ids) + 24 > 3 * TOPK
        expected = full_logprobs(model, result)
        assert result.token_ids == expected.argmax(-1).tolist()
        chosen = expected.gather(1, torch.tensor(result.token_ids)[:, None])[:, 0]
        assert np.abs(np.array(result.logprobs) - chosen.numpy()).max() < 1e-5
        assert np.array_equal(result.routed_experts, full_experts(model, result))


@pytest.mark.parametrize("budget,caching,blocks", [(64, False, 4096), (4096, True, 30), (16, False, 30)])
def test_chunks_prefix_cache_and_preemption_change_nothing(model, budget, caching, blocks):
    batch = prompts(12)
    batch += [batch[0][:20] + tail for tail in prompts(6, seed=1)] + [batch[3]]
    params = [
        SamplingParams(max_tokens=20, temperature=0.8, top_p=0.9, seed=seed, ignore_eos=True)
        for seed in range(len(batch))
    ]
    expected = [
        Engine(model, EngineConfig(backend="torch")).generate([prompt], one)[0]
        for prompt, one in zip(batch, params, strict=True)
    ]
    engine = Engine(
        model,
        EngineConfig(
            backend="torch",
            max_num_batched_tokens=budget,
            enable_prefix_caching=caching,
            num_blocks=blocks,
        ),
    )
    results = engine.generate(batch, params)
    for got, want in zip(results, expected, strict=True):
        assert got.token_ids == want.token_ids
        assert np.allclose(got.logprobs, want.logprobs, rtol=0, atol=1e-5)
        assert np.array_equal(got.routed_experts, want.routed_experts)
        assert np.array_equal(got.sampling_mask.token_ids, want.sampling_mask.token_ids)
    assert any(result.num_cached_tokens for result in results) == caching
    assert engine.num_free_blocks == blocks - 1


def test_prefix_cache_is_hit_within_a_group_and_after_it(model):
    engine = Engine(model, EngineConfig(backend="torch"))
    prompt = prompts(1, 60, 61)[0]
    assert [r.num_cached_tokens for r in engine.generate([prompt] * 4, GREEDY)] == [0, 48, 48, 48]
    assert engine.generate([prompt], GREEDY)[0].num_cached_tokens == 48
    engine.reset_prefix_cache()
    assert engine.generate([prompt], GREEDY)[0].num_cached_tokens == 0


def test_recorded_experts_are_those_of_a_full_forward(model):
    """Those of prefix-cached tokens too, which this request never computed."""
    params = SamplingParams(max_tokens=9, seed=4, ignore_eos=True)
    results = Engine(model, EngineConfig(backend="torch")).generate(
        prompts(1, 60, 61) * 3 + prompts(5), params
    )
    assert results[2].num_cached_tokens == 48
    for result in results:
        assert result.routed_experts.dtype == np.int16
        assert np.array_equal(result.routed_experts, full_experts(model, result))


def test_recorded_logprobs_are_those_of_the_kept_sets(model):
    params = SamplingParams(max_tokens=16, temperature=0.7, top_p=0.8, top_k=20, seed=3, ignore_eos=True)
    for result in Engine(model, EngineConfig(backend="torch")).generate(prompts(4), params):
        expected = full_logprobs(model, result) / 0.7
        assert len(result.sampling_mask.offsets) == 17
        for i, (begin, end) in enumerate(itertools.pairwise(result.sampling_mask.offsets)):
            ids = torch.from_numpy(result.sampling_mask.token_ids[begin:end]).long()
            assert 1 <= len(ids) <= 20
            assert result.token_ids[i] in ids
            logprobs = expected[i, ids].log_softmax(-1)
            chosen = logprobs[ids == result.token_ids[i]].item()
            assert result.logprobs[i] == pytest.approx(chosen, abs=1e-5)


def test_without_truncation_no_sets_are_kept(model):
    params = SamplingParams(max_tokens=16, temperature=1.3, seed=3, ignore_eos=True)
    result = Engine(model, EngineConfig(backend="torch")).generate(prompts(1), params)[0]
    assert result.sampling_mask is None
    expected = (full_logprobs(model, result) / 1.3).log_softmax(-1)
    chosen = expected.gather(1, torch.tensor(result.token_ids)[:, None])[:, 0]
    assert np.abs(np.array(result.logprobs) - chosen.numpy()).max() < 1e-5


@pytest.mark.parametrize("backend", ["torch", "auto"])
def test_new_weights_are_used_from_the_next_step_on(model, kernels, backend):
    engine = Engine(model, EngineConfig(backend=backend))
    prompt = prompts(1, 60, 61)[0]
    engine.generate([prompt], GREEDY)
    request_id = engine.add_request(prompt, GREEDY)
    for _ in range(5):
        engine.step()
    changed = copy.deepcopy(model)
    with torch.no_grad():
        changed.model.layers[0].mlp.down_proj.weight.mul_(-3)
    engine.update_weights(changed)
    while engine.has_unfinished():
        engine.step()
    running, fresh = engine.result(request_id), engine.generate([prompt], GREEDY)[0]
    assert running.policy_version == fresh.policy_version == 1
    assert fresh.num_cached_tokens > 0  # of the running one's context, computed anew
    assert fresh.token_ids == full_logprobs(changed, fresh).argmax(-1).tolist()
    old, new = (full_logprobs(one, running).argmax(-1).tolist() for one in (model, changed))
    assert running.token_ids == old[:5] + new[5:] and old != new


def test_bfloat16_weights_keep_a_bfloat16_cache(model):
    half = Transformer(model.config).to(torch.bfloat16)
    half.load_state_dict(model.state_dict())
    engine = Engine(half, EngineConfig(backend="torch"))
    assert engine._runner.cache.kv[0].dtype == torch.bfloat16
    assert len(engine.generate(prompts(3), GREEDY)[0].token_ids) == 24
