"""The lightning indexer's choice in packed training rows, by the kernel that serves."""

import torch
from torch import Tensor

from baleen.ops.cpu.binding import call

MAX_INDEX_HEADS = 64


def select_positions(
    q: Tensor, weights: Tensor, keys: Tensor, positions: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    """The fast twin of `index_scores` and `topk_positions` where each query reads its own document alone.

    `q` [B, S, J, D], `weights` [B, S, J] and `keys` [B, S, D] are float32, with J at most 64; `positions` [B, S] are
    those of the tokens in their documents, 0 at the start of each. Returns the positions [B, S, k] in the row,
    ascending, and `valid` [B, S, k], False where a query sees fewer than k tokens. Scores of tokens that a query may
    not see are never computed.
    """
    batch, length, heads, dim = q.shape
    q, weights, keys = q.contiguous(), weights.contiguous(), keys.contiguous()
    starts = (positions.flatten() == 0).nonzero().flatten()
    sizes = torch.diff(starts, append=starts.new_tensor([batch * length]))
    order = torch.arange(length)
    chosen = torch.zeros(batch * length, k, dtype=torch.int32)
    counts = torch.empty(batch * length, dtype=torch.int32)
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        call(
            "select_slots",
            *(_row(q, start * heads * dim), _row(weights, start * heads), _row(keys, start * dim), None, 0),
            *(order.data_ptr(), order.data_ptr(), _row(chosen, start * k), _row(counts, start)),
            *(1, size, size, heads, dim, k),
        )
    valid = (torch.arange(k) < counts.unsqueeze(1)).view(batch, length, k)
    first = (order - positions).unsqueeze(-1)  # where each token's document begins in its row
    return (chosen.view(batch, length, k) + first).masked_fill(~valid, 0), valid


def _row(tensor: Tensor, number: int) -> int:
    """Address of the number at `number`, counted through the whole tensor."""
    return tensor.data_ptr() + number * tensor.element_size()
