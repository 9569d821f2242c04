"""Index scores from rotated and rounded vectors, their scales taken out of the dot products.

The release rounds to FP8; the engine, where its weights are int8, to whole numbers of eight bits.
"""

import torch
from torch import Tensor

from baleen.ops.fp8 import quantize_tokens
from baleen.ops.hadamard import hadamard_matrix, hadamard_rotate
from baleen.ops.indexing import index_scores

LARGEST_KEY, LARGEST_QUERY = 127, 63  # as whole numbers; two products of a byte and a query fit 16 bits

# B batch, S queries, T cached positions, J indexer heads, D index_head_dim


def quantized_index_scores(
    q: Tensor, q_scales: Tensor, k: Tensor, k_scales: Tensor, weights: Tensor
) -> Tensor:
    """I[t,s] = k_scale[s] · sum_j (w · q_scale)[t,j] · ReLU(q[t,j] · k[s]): scales are positive and pass the ReLU.

    `q` [B, S, J, D] and `k` [B, T, D], e4m3 or whole numbers, with float32 scales [B, S, J, 1] and [B, T, 1],
    `weights` [B, S, J]. Accumulated in float32; returns [B, S, T] float32. ValueError if a vector has more than one
    scale.
    """
    if q_scales.shape[-1] != 1 or k_scales.shape[-1] != 1:
        raise ValueError(
            f"an index vector of {q.shape[-1]} numbers has {k_scales.shape[-1]} scales; index scores can take out "
            "only one: index_head_dim must be at most 128"
        )
    return index_scores(q, k, weights.float() * q_scales.squeeze(-1)) * k_scales.transpose(1, 2)


def fp8_index_scores(q: Tensor, k: Tensor, weights: Tensor) -> Tensor:
    """The FP8 twin of `index_scores`, of the same arguments: what the release's rounding leaves of the scores.

    `q` [B, S, J, D], `k` [B, T, D], `weights` [B, S, J] (scales already folded in). Returns [B, S, T] float32.
    """
    rotated_q, rotated_k = (quantize_tokens(hadamard_rotate(x), power_of_two=True) for x in (q, k))
    return quantized_index_scores(*rotated_q, *rotated_k, weights)


def int8_index_vectors(x: Tensor, largest: int) -> tuple[Tensor, Tensor]:
    """Index vectors `x` [..., D] as whole numbers up to `largest`, and their scales [..., 1]; both float32.

    Where D is a power of two they are rotated first, by the Hadamard matrix without its 1 / sqrt(D): a product of two
    such vectors is D times that of the originals.
    """
    rotated = x.float() @ hadamard_matrix(x.shape[-1]) if _rotates(x) else x.float()
    most = rotated.abs().amax(-1, keepdim=True)
    inverse = torch.where(most > 0, torch.full_like(most, largest) / most, 0.0)
    return (rotated * inverse).round(), most / largest


def int8_index_scores(q: Tensor, k: Tensor, weights: Tensor) -> Tensor:
    """The twin of `fp8_index_scores` in whole numbers: what the engine's index keys of a byte a number give."""
    q, q_scales = int8_index_vectors(q, LARGEST_QUERY)
    values, k_scales = int8_index_vectors(k, LARGEST_KEY)
    return quantized_index_scores(
        q, q_scales, values, k_scales / (k.shape[-1] if _rotates(k) else 1), weights
    )


def _rotates(x: Tensor) -> bool:
    return x.shape[-1] & (x.shape[-1] - 1) == 0
