"""The operations and layers against the NumPy float64 twins, ties included."""

import numpy as np
import pytest
import torch

import baleen.model.mla as mla
from baleen.model.backends import backend
from baleen.model.transformer import DecoderLayer, rope_frequencies
from baleen.ops import (
    index_scores,
    rope_inverse_frequencies,
    rotate_half_split,
    rotate_interleaved,
    route,
    topk_positions,
)
from tests.model.outside import build, random_config
from tests.oracle import twin


@pytest.mark.parametrize("width", [4, 16, 64])
@pytest.mark.parametrize(("factor", "original"), [(40.0, 4096), (4.0, 64), (2.0, 32)])
def test_yarn_frequencies(width, factor, original):
    ours = rope_inverse_frequencies(width, 10000.0, factor=factor, original_length=original)
    theirs = twin.yarn_frequencies(width, 10000.0, factor, original, 32.0, 1.0)
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=2e-6)


@pytest.mark.parametrize(
    ("ours", "pairs"), [(rotate_interleaved, twin.neighbors), (rotate_half_split, twin.halves)]
)
def test_rotations(ours, pairs):
    x = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    frequencies = 100.0 ** -(torch.arange(6, dtype=torch.float64) / 6)
    turned = ours(x, (37 * frequencies).cos(), (37 * frequencies).sin())
    np.testing.assert_allclose(
        turned.numpy(), twin.rotate(x.numpy(), 37, frequencies.numpy(), pairs(12)), atol=1e-12
    )


def test_index_scores():
    g = torch.Generator().manual_seed(0)
    q, k, w = (torch.randn(s, generator=g) for s in [(1, 5, 3, 8), (1, 7, 8), (1, 5, 3)])
    ours = index_scores(q, k, w)[0].numpy()
    theirs = [[twin.index_score(*(a.double().numpy() for a in (q[0, t], k[0, s], w[0, t]))) for s in range(7)]
              for t in range(5)]  # fmt: skip
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_with_ties_is_score_descending_then_position_ascending(seed):
    g = torch.Generator().manual_seed(seed)
    scores = torch.randint(-2, 3, (1, 40, 40), generator=g).float()  # five values: nearly everything ties
    scores[scores == 0] *= -1.0  # -0.0 and 0.0 are one number
    scores[:, :, ::3] = scores[:, :, ::3].abs()
    keep = torch.ones(40, 40, dtype=torch.bool).tril().unsqueeze(0)
    positions, valid = topk_positions(scores, keep, 9)
    for t in range(40):
        assert positions[0, t][valid[0, t]].tolist() == twin.top_k(scores[0, t, : t + 1].tolist(), 9)


@pytest.mark.parametrize(("groups", "kept"), [(1, 1), (4, 2), (4, 4), (8, 3)])
def test_routing(groups, kept):
    g = torch.Generator().manual_seed(groups)
    scores = torch.rand(50, 16, generator=g)
    bias = torch.randn(16, generator=g) * 0.3
    ours = route(scores, bias, 4, groups, kept)
    for token, experts in zip(scores, ours, strict=True):
        assert experts.tolist() == twin.route(token.tolist(), bias.tolist(), 4, groups, kept)


@pytest.mark.parametrize("within", [0, 10**6])
@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_a_layers_attention_and_experts(monkeypatch, seed, within):
    config = random_config(seed).replace(index_topk=10, first_k_dense_replace=0)
    model = build(config, seed)
    layer = model.model.layers[0]
    assert isinstance(layer, DecoderLayer)
    x = torch.randn(1, 36, config.hidden_size, generator=torch.Generator().manual_seed(seed))
    meta = model.metadata(torch.zeros(1, 36, dtype=torch.int64))
    cos, sin = model._rope(meta.positions)
    chosen = []

    def recorded(*arguments):
        chosen.append(topk_positions(*arguments))
        return chosen[-1]

    monkeypatch.setattr(backend, "topk_positions", recorded)
    monkeypatch.setattr(mla, "MATERIALIZE_WITHIN", within)
    ours = layer.self_attn(x, cos, sin, meta)[0].numpy()
    theirs, sets = twin.attention(x[0].double().numpy(), layer.self_attn.state_dict(), config)
    positions, valid = chosen[0]
    for t, expected in enumerate(sets):
        assert sorted(positions[0, t][valid[0, t]].tolist()) == sorted(expected)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)

    mixed = layer.mlp(x)[0].numpy()
    for row, h in zip(mixed, x[0].double().numpy(), strict=True):
        np.testing.assert_allclose(row, twin.mixture(h, layer.mlp.state_dict(), config), atol=2e-5)


def test_the_models_frequencies_are_the_twins():
    config = random_config(0).replace(
        qk_rope_head_dim=16,
        index_head_dim=32,
        rope_scaling={"factor": 4.0, "original_max_position_embeddings": 64},
    )
    theirs = twin.yarn_frequencies(16, config.rope_theta, 4.0, 64, 32.0, 1.0)
    np.testing.assert_allclose(rope_frequencies(config).numpy(), theirs, rtol=2e-6)
