"""Penalties, bias, min_p and listed log-probabilities: each against a plain slow twin, alone and in the engine."""

import itertools
import math

import numpy as np
import pytest

from baleen.config import UserError
from baleen.config.engine import SamplingParams
from baleen.engine import GenerationResult
from baleen.engine.penalties import LogitChanges
from baleen.engine.sampler import sample
from baleen.engine.sequence import Sequence
from tests.engine.fake_model import VOCAB, ChecksumModel
from tests.engine.test_scheduling import engine_of, prompts

PENALTIES = {"presence_penalty": 0.8, "frequency_penalty": -0.6, "repetition_penalty": 1.4}
CHOICES = {
    "temperature": [0, 0.5, 1, 1.7],
    "presence_penalty": [0, 1.3, -2],
    "frequency_penalty": [0, 0.7, -0.4],
    "repetition_penalty": [1, 1.5, 0.6],
    "logit_bias": [{}, {0: -100, 5: 3.5, 6: -2}, {1: 100}, {i: -100 for i in range(1, 20)}],
    "min_tokens": [0, 4],
    "top_k": [0, 4, 9],
    "top_p": [1, 0.9, 0.4],
    "min_p": [0, 0.05, 0.5],
    "logprobs": [None, 0, 3, 20],
}


class Slow:
    """One row by the definitions, in plain Python.

    uncut, cut: log-probabilities before and after truncation. kept: what is left.
    """

    def __init__(self, logits, prompt: list[int], completion: list[int], p: SamplingParams, stop_ids=()):
        x = [float(value) for value in logits]
        for t in set(prompt + completion):
            x[t] = x[t] / p.repetition_penalty if x[t] > 0 else x[t] * p.repetition_penalty
        for t in completion:
            x[t] -= p.frequency_penalty
        for t in set(completion):
            x[t] -= p.presence_penalty
        for t, bias in p.logit_bias.items():
            x[t] = -math.inf if bias == -100 else x[t] + bias
        if len(completion) < p.min_tokens:
            for t in stop_ids:
                x[t] = -math.inf
        weights = [math.exp((value - max(x)) / (p.temperature or 1)) for value in x]
        self.order = sorted((t for t in range(len(x)) if x[t] > -math.inf), key=lambda t: (-x[t], t))
        self.uncut = {t: math.log(weights[t] / sum(weights)) for t in self.order}
        left = list(self.order)
        if p.temperature > 0:
            left = left[: p.top_k or None]
            left = [t for t in left if weights[t] >= p.min_p * weights[left[0]]]
            mass = sum(weights[t] for t in left)
            sums = itertools.accumulate(weights[t] for t in left)
            left = left[: 1 + sum(so_far < p.top_p * mass for so_far in sums)] if p.top_p < 1 else left
        self.kept = sorted(left)
        mass = sum(weights[t] for t in left)
        self.cut = {t: math.log(weights[t] / mass) for t in left}

    def listed(self, count: int, sampled: int) -> list[int]:
        top = self.order[:count]
        return top if sampled in top else [*top, sampled]


def test_every_row_is_what_the_definitions_say():
    rng = np.random.default_rng(0)
    vocab, stops = 24, (2, 9)
    for _ in range(60):
        logits = (rng.standard_normal((8, vocab)) * 3).astype(np.float32)
        sequences = []
        for row in range(8):
            options = {name: values[rng.integers(len(values))] for name, values in CHOICES.items()}
            tokens = rng.integers(0, vocab, rng.integers(1, 20)).tolist()
            begin = int(rng.integers(1, len(tokens) + 1))
            sequences.append(
                Sequence("r", 0, begin, tokens, SamplingParams(**options), row, frozenset(stops))
            )
        sampled = sample(logits, sequences)
        for row, s in enumerate(sequences):
            begin = s.num_prompt_tokens
            slow = Slow(logits[row], s.token_ids[:begin], s.token_ids[begin:], s.params, stops)
            token, top = sampled.token_ids[row], sampled.top_logprobs[row]
            assert token == slow.order[0] if s.params.temperature == 0 else token in slow.kept
            assert sampled.logprobs[row] == pytest.approx(slow.cut[token], abs=1e-9)
            if s.records_mask:
                assert sampled.sampling_mask[row].tolist() == slow.kept
            else:
                assert len(slow.kept) == vocab and sampled.sampling_mask[row] is None
            if s.params.logprobs is None:
                assert top is None
            else:
                assert list(top) == slow.listed(s.params.logprobs, token)
                assert list(top.values()) == pytest.approx([slow.uncut[t] for t in top], abs=1e-9)


def test_kept_sets_are_left_out_where_nobody_wants_them_and_cut_all_the_same():
    logits = np.random.default_rng(0).standard_normal((1, 50)).astype(np.float32)
    seen = set()
    for seed in range(200):
        params = SamplingParams(top_k=3, logit_bias={7: -100}, record_sampling_mask=False, seed=seed)
        sampled = sample(logits, [Sequence("r", 0, 1, [0], params, seed, frozenset())])
        assert sampled.sampling_mask == [None]
        seen.add(sampled.token_ids[0])
    assert seen == set(Slow(logits[0], [0], [], params).kept)


def test_of_equal_tokens_the_lowest_ids_are_listed():
    params = SamplingParams(temperature=0, logprobs=2)
    sampled = sample(
        np.array([[0, 3, 3, 1, 3]], np.float32), [Sequence("r", 0, 1, [0], params, 0, frozenset())]
    )
    assert list(sampled.top_logprobs[0]) == [1, 2]


def test_tokens_are_counted_once_however_they_come():
    """A step brings one token, a preempted sequence many; a step that is repeated brings none."""
    tokens = [3, 3, 1, 4, 3, 4, 4]
    params = SamplingParams(**PENALTIES)
    logits = np.linspace(-2, 2, 6)
    at_once = logits.copy()
    LogitChanges(params, 6).apply(at_once, tokens, 2)
    stepwise = LogitChanges(params, 6)
    for end in (1, 2, 3, 4, 4, 7):
        step = logits.copy()
        stepwise.apply(step, tokens[:end], 2)
    assert np.array_equal(step, at_once)
    assert not np.array_equal(step, logits)


def expected(model: ChecksumModel, result: GenerationResult, params: SamplingParams, i: int) -> Slow:
    before = result.token_ids[:i]
    return Slow(model.expected_logits(result.prompt_ids + before), result.prompt_ids, before, params)


@pytest.mark.parametrize("temperature", [0, 0.9])
@pytest.mark.parametrize("num_blocks,budget", [(64, 1000), (15, 5)])
def test_the_engine_applies_them_through_chunks_preemption_and_cache(temperature, num_blocks, budget):
    engine = engine_of(num_blocks=num_blocks, max_num_batched_tokens=budget)
    batch = prompts(3, 3, 8) * 2
    params = [
        SamplingParams(
            max_tokens=25,
            temperature=temperature,
            seed=seed,
            ignore_eos=True,
            logprobs=4,
            min_p=0.1,
            logit_bias={seed: 2.5, seed + 1: -100},
            **PENALTIES,
        )
        for seed in range(6)
    ]
    for one, result in zip(params, engine.generate(batch, params), strict=True):
        assert len(result.top_logprobs) == len(result.sampling_mask.offsets) - 1 == 25
        for i, token in enumerate(result.token_ids):
            slow = expected(engine.model, result, one, i)
            kept = result.sampling_mask.token_ids[slice(*result.sampling_mask.offsets[i : i + 2])].tolist()
            assert kept == slow.kept
            assert token == slow.order[0] if temperature == 0 else token in kept
            assert result.logprobs[i] == pytest.approx(slow.cut[token], abs=1e-5)
            assert list(result.top_logprobs[i]) == slow.listed(4, token)
            assert result.top_logprobs[i][token] == pytest.approx(slow.uncut[token], abs=1e-5)


def test_the_others_in_the_batch_do_not_notice():
    batch = prompts(7)
    plain = [SamplingParams(max_tokens=15, seed=i, top_p=0.9, ignore_eos=True) for i in range(7)]
    bold = [*plain]
    for i in (2, 5):
        bold[i] = SamplingParams(max_tokens=15, seed=i, logit_bias={4: -100}, logprobs=20, **PENALTIES)
    before, after = (engine_of().generate(batch, params) for params in (plain, bold))
    for i in (0, 1, 3, 4, 6):
        assert before[i].token_ids == after[i].token_ids
        assert before[i].logprobs == after[i].logprobs
        assert np.array_equal(before[i].sampling_mask.token_ids, after[i].sampling_mask.token_ids)
        assert after[i].top_logprobs is None
    assert before[2].token_ids != after[2].token_ids


def test_steps_bring_the_listed_tokens_with_the_sampled_ones():
    engine = engine_of()
    engine.add_request([1, 2], SamplingParams(max_tokens=3, logprobs=2, ignore_eos=True))
    engine.add_request([1, 2], SamplingParams(max_tokens=3, ignore_eos=True))
    while engine.has_unfinished():
        listed, plain = engine.step()
        assert listed.new_token_ids[0] in listed.new_top_logprobs[0]
        assert plain.new_top_logprobs == []


@pytest.mark.parametrize(
    "params,message",
    [
        ({"logit_bias": {1: 1, VOCAB: 2}}, "logit_bias has token id 32, this model's are 0 to 31"),
        ({"logit_bias": {-1: 1}}, "logit_bias has token id -1, this model's are 0 to 31"),
        ({"logit_bias": dict.fromkeys(range(VOCAB), -100)}, "logit_bias is -100, a ban, for all 32 tokens"),
        (
            {
                "logit_bias": dict.fromkeys(range(2, VOCAB), -100),
                "min_tokens": 1,
                "stop_token_ids": (0, 1),
                "ignore_eos": True,
            },
            "have all 32 tokens, so min_tokens leaves none; leave some out",
        ),
    ],
)
def test_what_no_token_could_answer_is_refused_before_it_runs(params, message):
    engine = engine_of()
    with pytest.raises(UserError, match=message):
        engine.generate([[1, 2], [3]], [SamplingParams(), SamplingParams(**params)])
    assert not engine.has_unfinished()


def test_one_token_that_is_left_is_taken():
    params = SamplingParams(
        max_tokens=4, ignore_eos=True, logit_bias={i: -100 for i in range(VOCAB) if i != 6}, logprobs=20
    )
    result = engine_of().generate([[1, 2]], params)[0]
    assert result.token_ids == [6] * 4
    assert result.logprobs == [0.0] * 4
    assert result.sampling_mask.token_ids.tolist() == [6] * 4
    assert result.top_logprobs == [{6: 0.0}] * 4
