"""Sampling: against a slow twin, against the distribution, and the same bits whatever shares the batch."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baleen.config import UserError
from baleen.config.engine import EngineConfig, SamplingParams
from baleen.engine.sampler import sample, truncation_mask, uniform
from baleen.engine.sequence import Sequence


def sequence(params: SamplingParams, sampled: int = 0, stop_ids: tuple[int, ...] = ()) -> Sequence:
    return Sequence("r", 0, 2, [0] * (2 + sampled), params, params.seed or 0, frozenset(stop_ids))


def slow_kept(weights: list[float], top_k: int, top_p: float, min_p: float) -> list[int]:
    order = sorted(range(len(weights)), key=lambda i: (-weights[i], i))[:top_k]
    order = [i for i in order if weights[i] >= min_p * max(weights)]
    if top_p == 1:
        return sorted(order)
    total = sum(weights[i] for i in order)
    kept: list[int] = []
    while sum(weights[i] for i in kept) < top_p * total:
        kept.append(order[len(kept)])
    return sorted(kept)


# whole numbers as weights and binary fractions as top_p and min_p: both twins are exact, at ties and boundaries too
@given(
    st.lists(
        st.tuples(
            st.lists(st.integers(0, 6), min_size=9, max_size=9).filter(any),
            st.integers(1, 9),
            st.sampled_from([0.125, 0.25, 0.5, 0.75, 0.96875, 1.0]),
            st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_kept_sets_are_the_fewest_heaviest(rows):
    weights, top_k, top_p, min_p = (np.array(column) for column in zip(*rows, strict=True))
    mask = truncation_mask(weights.astype(float), top_k, top_p, min_p)
    for row, options in zip(mask, rows, strict=True):
        assert np.flatnonzero(row).tolist() == slow_kept(*options)


def test_a_row_does_not_depend_on_its_neighbors():
    rng = np.random.default_rng(0)
    logits = (rng.standard_normal((40, 300)) * rng.uniform(0.1, 9, (40, 1))).astype(np.float32)
    kinds = [
        {},
        {"top_p": 0.9},
        {"top_k": 7, "temperature": 0.6},
        {"temperature": 0},
        {"top_p": 0.5, "top_k": 40},
        {"min_tokens": 3},
        {"min_p": 0.2, "logprobs": 5},
        {"frequency_penalty": 1.5, "presence_penalty": -1, "repetition_penalty": 1.3, "logprobs": 0},
        {"logit_bias": {3: -100, 5: 4.5}, "top_p": 0.7},
    ]
    sequences = [sequence(SamplingParams(seed=i, **kinds[i % len(kinds)]), i % 5, (i, 7)) for i in range(40)]
    together = sample(logits, sequences)
    for i in rng.permutation(40)[:15]:
        alone = sample(logits[i : i + 1], [sequences[i]])
        assert alone.token_ids[0] == together.token_ids[i]
        assert alone.logprobs[0] == together.logprobs[i]
        assert np.array_equal(alone.sampling_mask[0], together.sampling_mask[i])
        assert alone.top_logprobs[0] == together.top_logprobs[i]


def test_greedy_takes_the_lowest_id_among_equals():
    logits = np.array([[0, 3, 3, 1], [2, 2, 2, 2]], np.float32)
    sampled = sample(logits, [sequence(SamplingParams(temperature=0))] * 2)
    assert sampled.token_ids == [1, 0]
    assert sampled.logprobs[1] == pytest.approx(math.log(0.25))
    assert sampled.sampling_mask == [None, None]


BIASED = {"logit_bias": {0: -100, 4: 1.5}, "repetition_penalty": 1.5}


@pytest.mark.parametrize(
    "options", [{}, {"top_p": 0.8}, {"top_k": 5}, {"min_p": 0.3}, {"min_tokens": 1}, BIASED]
)
def test_samples_follow_the_recorded_distribution(options):
    draws, vocab = 20_000, 12
    scores = np.random.default_rng(1).standard_normal(vocab).astype(np.float32)
    sequences = [
        sequence(SamplingParams(seed=i, temperature=0.7, **options), stop_ids=(3,)) for i in range(draws)
    ]
    sampled = sample(np.tile(scores, (draws, 1)), sequences)
    kept = np.arange(vocab) if sampled.sampling_mask[0] is None else sampled.sampling_mask[0]
    if "min_tokens" in options:
        assert kept.tolist() == [i for i in range(vocab) if i != 3]
    if options is BIASED:  # token 0 is banned, and the only one that the penalty would meet
        assert kept.tolist() == list(range(1, vocab))
        scores[4] += 1.5
    weights = np.zeros(vocab)
    weights[kept] = np.exp(scores[kept].astype(float) / 0.7)
    expected = weights / weights.sum()
    counts = np.bincount(sampled.token_ids, minlength=vocab) / draws
    assert np.all(np.abs(counts - expected) <= 4 * np.sqrt(expected * (1 - expected) / draws))
    assert np.allclose(sampled.logprobs, np.log(expected[sampled.token_ids]))


def test_draws_of_one_seed_and_of_neighboring_seeds_are_independent():
    seeds, counters = np.meshgrid(np.arange(300, dtype=np.uint64), np.arange(300, dtype=np.uint64))
    draws = uniform(seeds.ravel(), counters.ravel()).reshape(300, 300)
    assert draws.min() >= 0 and draws.max() < 1
    assert len(np.unique(draws)) == 90_000
    histogram = np.histogram(draws, 20, (0, 1))[0]
    assert ((histogram - 4500) ** 2 / 4500).sum() < 50  # 19 degrees of freedom
    for lagged in (draws[1:] * draws[:-1], draws[:, 1:] * draws[:, :-1], draws[1:, 1:] * draws[:-1, :-1]):
        assert abs(lagged.mean() - 0.25) < 0.005


def test_a_tiny_temperature_does_not_overflow():
    sampled = sample(np.array([[50, 80, 79]], np.float32), [sequence(SamplingParams(temperature=1e-300))])
    assert sampled.token_ids == [1]
    assert sampled.logprobs == [0.0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_broken_logits_are_an_error(value):
    with pytest.raises(FloatingPointError, match="not finite"):
        sample(np.array([[0, value, 1]], np.float32), [sequence(SamplingParams())])


@pytest.mark.parametrize(
    "values,words",
    [
        ({"top_p": 1.5}, ["top_p=1.5", "less than or equal to 1", "1 keeps all"]),
        ({"temperature": math.nan}, ["temperature=nan", "finite"]),
        ({"max_tokens": 0}, ["max_tokens=0", "greater than 0"]),
        ({"min_tokens": 5, "max_tokens": 4}, ["min_tokens=5 exceeds max_tokens=4"]),
        ({"topp": 0.9}, ["topp=0.9 is unknown", "top_p"]),
        ({"min_p": 1.01}, ["min_p=1.01", "less than or equal to 1", "0 keeps all"]),
        ({"min_p": math.nan}, ["min_p=nan", "finite"]),
        ({"presence_penalty": -2.5}, ["presence_penalty=-2.5", "greater than or equal to -2", "0 for none"]),
        ({"frequency_penalty": math.inf}, ["frequency_penalty=inf", "finite"]),
        ({"repetition_penalty": 0}, ["repetition_penalty=0", "greater than or equal to 0.01", "1 for none"]),
        ({"repetition_penalty": 1e300}, ["repetition_penalty=1e+300", "less than or equal to 100"]),
        ({"logit_bias": {7: 100.5}}, ["logit_bias[7]=100.5", "less than or equal to 100", "from -100 (ban)"]),
        ({"logit_bias": {7: math.nan}}, ["logit_bias[7]=nan", "finite"]),
        ({"logit_bias": {7: -math.inf}}, ["logit_bias[7]=-inf"]),
        ({"logit_bias": {"a": 1}}, ["logit_bias[a]='a'", "valid integer", "token ids"]),
        ({"logprobs": 21}, ["logprobs=21", "less than or equal to 20"]),
        ({"logprobs": -1}, ["logprobs=-1", "greater than or equal to 0"]),
    ],
)
def test_impossible_parameters_name_field_value_limit_and_remedy(values, words):
    with pytest.raises(UserError) as caught:
        SamplingParams(**values)
    for word in words:
        assert word in str(caught.value)


def test_impossible_sizes_are_refused():
    with pytest.raises(UserError, match=r"num_blocks=1 should be greater than 1; it is: cache blocks"):
        EngineConfig(num_blocks=1)
