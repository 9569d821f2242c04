"""Index scores as the release computes them: rotated, rounded to FP8, the scales taken out of the dot products."""

from torch import Tensor

from baleen.ops.fp8 import quantise_tokens
from baleen.ops.hadamard import hadamard_rotate
from baleen.ops.indexing import index_scores

# B batch, S queries, T cached positions, J indexer heads, D index_head_dim


def quantised_index_scores(
    q: Tensor, q_scales: Tensor, k: Tensor, k_scales: Tensor, weights: Tensor
) -> Tensor:
    """I[t,s] = k_scale[s] · sum_j (w · q_scale)[t,j] · ReLU(q[t,j] · k[s]): scales are positive and pass the ReLU.

    e4m3 `q` [B, S, J, D] and `k` [B, T, D] with float32 scales [B, S, J, 1] and [B, T, 1], `weights` [B, S, J].
    Accumulated in float32; returns [B, S, T] float32. ValueError if a vector has more than one scale.
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
    rotated_q, rotated_k = (quantise_tokens(hadamard_rotate(x), power_of_two=True) for x in (q, k))
    return quantised_index_scores(*rotated_q, *rotated_k, weights)
