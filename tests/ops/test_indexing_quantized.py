"""Index scores in eight bits against plain twins, a bound of their error, and what they change in the selection."""

import pytest
import torch

from baleen.ops import (
    dequantize_tokens,
    fp8_index_scores,
    hadamard_rotate,
    index_scores,
    int8_index_scores,
    quantize_tokens,
    quantized_index_scores,
)
from benchmarks.index_fp8_overlap import inputs, keys_alone_rotated, overlaps


def sample(heads=3, dim=128, queries=2, length=40):
    generator = torch.Generator().manual_seed(0)
    shapes = (2, queries, heads, dim), (2, length, dim), (2, queries, heads)
    return (torch.randn(shape, generator=generator) for shape in shapes)


@pytest.mark.parametrize("dim", [32, 128])
def test_scores_by_hand(dim):
    q, k, weights = sample(dim=dim)
    (q8, q_scales), (k8, k_scales) = (quantize_tokens(x, power_of_two=False) for x in (q, k))
    scores = quantized_index_scores(q8, q_scales, k8, k_scales, weights)
    for batch, query, token in ((0, 0, 0), (1, 1, 39), (0, 1, 17)):
        expected = 0.0
        for head in range(3):
            pairs = zip(q8[batch, query, head].tolist(), k8[batch, token].tolist(), strict=True)
            scale = q_scales[batch, query, head, 0].item() * k_scales[batch, token, 0].item()
            expected += weights[batch, query, head].item() * max(scale * sum(a * b for a, b in pairs), 0.0)
        assert scores[batch, query, token].item() == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_taking_out_powers_of_two_changes_no_bit():
    q, k, weights = sample(heads=8)
    quantized = [quantize_tokens(x, power_of_two=True) for x in (q, k)]
    scores = quantized_index_scores(*quantized[0], *quantized[1], weights)
    dequantized = [dequantize_tokens(*pair) for pair in quantized]
    assert torch.equal(scores, index_scores(*dequantized, weights))


def largest_error(q, k, weights):
    """Of a score computed from rotated numbers that are each off by half an e4m3 step at most."""

    def step(x):
        _, scales = quantize_tokens(x, power_of_two=True)
        return torch.maximum(x.abs() * 2**-4, scales * 2**-10)

    q, k = hadamard_rotate(q), hadamard_rotate(k)
    # |q'k' - qk| <= |q| dk + dq |k| + dq dk = (|q| + dq)(|k| + dk) - |q||k|; ReLU enlarges no difference
    grown = index_scores(q.abs() + step(q), k.abs() + step(k), weights.abs())
    return grown - index_scores(q.abs(), k.abs(), weights.abs())


@pytest.mark.parametrize("kind", ["no outliers", "outliers in keys", "outliers in both"])
def test_the_error_of_a_score_is_bounded(kind):
    # one head: over many, errors average out and the worst case bounds nothing
    q, k, weights = inputs(kind, 500, seed=0, heads=1)
    exact, bound = index_scores(q, k, weights), largest_error(q, k, weights) * 1.0001
    assert ((fp8_index_scores(q, k, weights) - exact).abs() <= bound).all()
    # a path that leaves the rotation out on one side is not within it
    assert ((keys_alone_rotated(q, k, weights) - exact).abs() > bound).any()


@pytest.mark.parametrize("length", [512, 1024, 2048])
def test_the_selection_survives_and_the_rotation_mends_shared_outliers(length):
    topk = 128
    with_outliers, without_outliers = (
        [overlaps(*inputs(kind, length, seed, heads=16), topk=topk) for seed in range(4)]
        for kind in ("outliers in both", "no outliers")
    )
    for found in with_outliers + without_outliers:
        assert found["with rotation"] > 0.9
        # a rotation on one side selects little better than chance
        assert found["keys alone"] < 0.6
    for found in with_outliers:
        # a dot product's error falls by the square root of sum(q²k²) / (sum(q²) sum(k²) / D), here about 6.4 times
        assert 1 - found["with rotation"] < 0.6 * (1 - found["without"])
    for found in without_outliers:
        # whole numbers have more bits where e4m3 has an exponent
        assert 1 - found["whole numbers"] < 0.6 * (1 - found["with rotation"])
        assert found["with rotation"] == pytest.approx(found["without"], abs=0.03)


@pytest.mark.parametrize("dim", [24, 32])
def test_whole_numbers_are_near_what_they_stand_for(dim):
    q, k, weights = sample(dim=dim)
    exact = index_scores(q, k, weights)
    assert (int8_index_scores(q, k, weights) - exact).abs().max() < 0.02 * exact.abs().max()
    assert not int8_index_scores(q * 0, k, weights).any()


def test_more_than_one_scale_a_vector_is_refused():
    q, k, weights = sample(dim=256)
    with pytest.raises(ValueError, match="256 numbers has 2 scales"):
        fp8_index_scores(q, k, weights)
