"""The compiled attention and index scores of packed training rows, and their gradients, against their plain twins."""

import pytest
import torch

from baleen.ops import cpu, gathered_attention, gathered_index_scores
from baleen.ops.cpu import attend_selected, score_selected

pytestmark = pytest.mark.skipif(not cpu.available(), reason="needs a C++ compiler")
B, S = 3, 70


@pytest.fixture(params=[8, 24, 64])
def selected(request: pytest.FixtureRequest) -> tuple[torch.Tensor, torch.Tensor]:
    """Positions [B, S, K] of earlier tokens of the own row, and which are valid; the first queries have few."""
    k = request.param
    generator = torch.Generator().manual_seed(k)
    positions, valid = torch.zeros(B, S, k, dtype=torch.int64), torch.zeros(B, S, k, dtype=torch.bool)
    for row in range(B):
        for query in range(S):
            count = min(query + 1, k)
            chosen = torch.randperm(query + 1, generator=generator)[:count]
            positions[row, query, :count], valid[row, query, :count] = chosen.sort().values, True
    return positions, valid


def tensors(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes]


@pytest.mark.parametrize(("heads", "latent", "rope"), [(4, 32, 16), (3, 13, 6), (1, 8, 0)])
@pytest.mark.parametrize("threads", [1, 2])
def test_attention_and_its_gradients(selected, heads, latent, rope, threads) -> None:
    positions, valid = selected
    q, pool, weight = tensors((B, S, heads, latent + rope), (B * S, latent + rope), (B, S, heads, latent))
    slots = positions + S * torch.arange(B).view(-1, 1, 1)
    found = []
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for attend in (gathered_attention, attend_selected):
            out, probs = attend(q, pool, slots, valid, 0.2, latent)
            found.append((out, probs, *torch.autograd.grad((out * weight.detach()).sum(), (q, pool))))
    finally:
        torch.set_num_threads(before)
    for plain, fast in zip(*found, strict=True):
        assert torch.allclose(plain, fast, atol=5e-5, rtol=1e-4)


@pytest.mark.parametrize(("heads", "dim"), [(4, 32), (2, 9)])
def test_index_scores_and_their_gradients(selected, heads, dim) -> None:
    positions, valid = selected
    q, keys, weights, weight = tensors((B, S, heads, dim), (B, S, dim), (B, S, heads), tuple(positions.shape))
    plain = gathered_index_scores(q, keys, weights, positions)
    fast = score_selected(q, keys, weights, positions, valid)
    assert torch.allclose(plain[valid], fast[valid], atol=1e-4) and not fast[~valid].any()
    outside = weight.detach() * valid  # no loss reaches what is not valid
    gradients = [torch.autograd.grad((s * outside).sum(), (q, keys, weights)) for s in (plain, fast)]
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-4, rtol=1e-4)


def test_no_gradient_flows_through_the_probabilities(selected) -> None:
    positions, valid = selected
    q, pool = tensors((B, S, 2, 12), (B * S, 12))
    slots = positions + S * torch.arange(B).view(-1, 1, 1)
    assert not attend_selected(q, pool, slots, valid, 0.2, 8)[1].requires_grad
