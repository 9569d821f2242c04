"""The kernel that chooses in packed training rows against the plain functions, ties included."""

import pytest
import torch

from baleen.model import AttentionMetadata
from baleen.ops import gathered_index_scores, index_scores, selection_mask, topk_positions
from baleen.ops.cpu import select_positions

B, S, J, D, K = 3, 70, 4, 8, 9


def row(*sizes: int) -> torch.Tensor:
    """Positions of documents of these sizes side by side."""
    return torch.cat([torch.arange(size) for size in sizes])


@pytest.mark.parametrize("seed", range(5))
def test_each_query_chooses_in_its_own_document(kernels, seed):
    generator = torch.Generator().manual_seed(seed)
    # small whole numbers: sums are exact in any order, and many scores are equal
    q, keys = (
        torch.randint(-2, 3, shape, generator=generator).float() for shape in ((B, S, J, D), (B, S, D))
    )
    weights = torch.randint(-1, 3, (B, S, J), generator=generator).float()
    positions = torch.stack([row(S), row(5, 40, 1, 24), row(9, 10, 51)])
    segments = (positions == 0).cumsum(1)
    keep = AttentionMetadata(positions, segments).visible(S)
    expected = selection_mask(*topk_positions(index_scores(q, keys, weights), keep, K), S)
    found, valid = select_positions(q, weights, keys, positions, K)
    assert torch.equal(valid.sum(-1), (positions + 1).clamp(max=K))
    assert torch.equal(selection_mask(found, valid, S), expected)


def test_scores_of_the_chosen_alone_are_those_of_all():
    generator = torch.Generator().manual_seed(0)
    q, keys = (torch.randn(shape, generator=generator) for shape in ((B, S, J, D), (B, S, D)))
    weights = torch.randn(B, S, J, generator=generator)
    positions = torch.randint(0, S, (B, S, K), generator=generator)
    expected = index_scores(q, keys, weights).gather(-1, positions)
    torch.testing.assert_close(gathered_index_scores(q, keys, weights, positions), expected)
