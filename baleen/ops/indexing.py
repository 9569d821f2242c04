"""DeepSeek sparse attention's choice of tokens: index scores and a deterministic top-k (V3.2 report, eq. 1-2)."""

import torch
from torch import Tensor

# B batch, S queries, T cached positions, J indexer heads, D index_head_dim, K index_topk

# Most dot products of a block of queries; 8,192 queries x 128K keys would be 4.3 GB per head.
MAX_SCORE_ELEMENTS = 1 << 26


def index_scores(q: Tensor, k: Tensor, weights: Tensor) -> Tensor:
    """I[t,s] = sum_j w[t,j] · ReLU(q[t,j] · k[s]), accumulated in float32.

    `q` [B, S, J, D], `k` [B, T, D], `weights` [B, S, J] (scales already folded in). Returns [B, S, T] float32.
    """
    batch, queries, heads, dim = q.shape
    dots = q.float().reshape(batch, queries * heads, dim) @ k.float().transpose(1, 2)
    dots = torch.relu(dots).view(batch, queries, heads, -1)
    return torch.einsum("bsjt,bsj->bst", dots, weights.float())


def blocked_index_scores(q: Tensor, k: Tensor, weights: Tensor) -> Tensor:
    """`index_scores`, a block of queries at a time, so that the dot products of all heads stay small."""
    block = max(1, MAX_SCORE_ELEMENTS // (q.shape[0] * q.shape[2] * k.shape[1]))
    parts = zip(q.split(block, 1), weights.split(block, 1), strict=True)
    return torch.cat([index_scores(q_block, k, w_block) for q_block, w_block in parts], 1)


def gathered_index_scores(q: Tensor, k: Tensor, weights: Tensor, positions: Tensor) -> Tensor:
    """The `index_scores` of some positions alone: `positions` [B, S, K] of the keys. Returns [B, S, K] float32."""
    batch, length, dim = k.shape
    rows = positions + length * torch.arange(batch, device=k.device).view(-1, 1, 1)
    keys = torch.nn.functional.embedding(rows, k.float().reshape(batch * length, dim))  # [B, S, K, D]
    dots = torch.relu(torch.matmul(q.float(), keys.transpose(-1, -2)))  # [B, S, J, K]
    return torch.matmul(weights.float().unsqueeze(2), dots).squeeze(2)


def topk_positions(scores: Tensor, keep: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The `k` visible positions with the largest score; equal scores by lower position first.

    `scores` [B, S, T] float32, `keep` [B, S, T] True where causally visible. Returns positions [B, S, K] int64 with
    K = min(k, T), and `valid` [B, S, K], False where a query sees fewer than K tokens.

    ReLU makes exact ties common, and `torch.topk` breaks them as it likes; sorting integers that hold the score's
    order in the high half and the reversed position in the low half has one answer everywhere.
    """
    length = scores.shape[-1]
    # + 0.0 turns -0.0 into 0.0: the two are equal as numbers and must be equal as keys
    bits = (scores + 0.0).masked_fill(~keep, float("-inf")).view(torch.int32).to(torch.int64)
    ordered = torch.where(bits >= 0, bits, -(bits & 0x7FFFFFFF) - 1)
    position = torch.arange(length, device=scores.device)
    keys = (ordered << 32) | (length - 1 - position)
    chosen = keys.topk(min(k, length), dim=-1).values
    positions = length - 1 - (chosen & 0xFFFFFFFF)
    return positions, keep.gather(-1, positions)


def selection_mask(positions: Tensor, valid: Tensor, length: int) -> Tensor:
    """[B, S, K] positions -> [B, S, length] boolean mask of the selected set S_t.

    Where not `valid` a position may hold anything, the number of a selected one included.
    """
    mask = torch.zeros(*positions.shape[:-1], length + 1, dtype=torch.bool, device=positions.device)
    return mask.scatter(-1, positions.masked_fill(~valid, length), True)[..., :length]


def index_kl(probs: Tensor, scores: Tensor, keep: Tensor) -> Tensor:
    """KL( p_t || softmax(I_t) ) of each query, over the positions in `keep` (V3.2 report, eq. 3-4).

    p_t is the main attention summed over its heads and normalized, and is only a target: no gradient reaches it.
    `probs` [B, H, S, T], `scores` [B, S, T] float32, `keep` [B, S, T]. Returns [B, S], nats.
    """
    target = probs.detach().float().sum(1)
    target = target / target.sum(-1, keepdim=True)
    log_index = scores.masked_fill(~keep, float("-inf")).log_softmax(-1).masked_fill(~keep, 0.0)
    return (torch.xlogy(target, target) - target * log_index).sum(-1)
