"""The kernels that only a layer's call puts together (layer.cpp), as functions of tensors."""

from typing import NamedTuple

import torch
from torch import Tensor

from baleen.ops.cpu import PrepackedWeight
from baleen.ops.cpu.binding import call, kernel
from baleen.ops.cpu.kernels import pool_type

# M tokens, H heads, C kv_lora_rank, R qk_rope_head_dim, J index heads, D index_head_dim, Q q_lora_rank


class Norms(NamedTuple):
    """Weights of a layer's norms, float32: of the query latent [Q], the latent [C], the index key [D] and its bias."""

    q: Tensor
    kv: Tensor
    key_weight: Tensor
    key_bias: Tensor
    eps: float
    key_eps: float


def write_latents(
    down: Tensor,
    cos: Tensor,
    sin: Tensor,
    norms: Norms,
    slots: Tensor,
    kv: Tensor,
    index_k: Tensor,
    key_scales: Tensor | None = None,
) -> Tensor:
    """Cache what the tokens leave, from `down` [M, Q + C + R + D]: query latent, latent, key to rotate, index key.

    `cos`, `sin` [M, R/2]; `slots` [M]; `kv` [slots, C + R] and `index_k` [slots, D] of one type, float32 or bfloat16,
    or `index_k` of uint8 with `key_scales` [slots]. Returns the normed query latent [M, Q].
    """
    count, size, rank = down.shape[0], norms.q.shape[0], norms.kv.shape[0]
    c_q = down.new_empty(count, size)
    kernel("write_latents")(
        *(tensor.data_ptr() for tensor in (down, cos, sin, *norms[:4], slots, kv, index_k)),
        None if key_scales is None else key_scales.data_ptr(),
        *(int(kv.dtype == torch.bfloat16), c_q.data_ptr(), count, size, rank, kv.shape[1] - rank),
        *(index_k.shape[1], norms.eps, norms.key_eps),
    )
    return c_q


def rotate_queries(up: Tensor, cos: Tensor, sin: Tensor, q: Tensor, index_q: Tensor, scale: float) -> None:
    """Rotate what `up` [M, H (nope + R) + J D] holds, the queries and the index queries of a token.

    Heads' parts go, times `scale`, to `q` [M, H, C + R] behind its C columns; index queries to `index_q` [M, J, D].
    """
    count, heads, width = q.shape
    index_heads, dim = index_q.shape[1:]
    rope = 2 * cos.shape[-1]
    nope = (up.shape[1] - index_heads * dim) // heads - rope
    kernel("rotate_queries")(
        *(tensor.data_ptr() for tensor in (up, cos, sin, q, index_q)),
        *(count, heads, nope, rope, width - rope, index_heads, dim, scale),
    )


def packed_route(
    logits: Tensor,
    bias: Tensor,
    k: int,
    n_group: int,
    topk_group: int,
    *,
    given: Tensor | None,
    normalize: bool,
    factor: float,
) -> tuple[Tensor, Tensor]:
    """The twin of `route` from `logits` [M, E], which it overwrites; `given` [M, k] experts are taken as they are.

    Returns experts [M, k] int64 and gates [M, k]: their sigmoids, over their sum if `normalize`, times `factor`.
    """
    count = logits.shape[0]
    experts = torch.empty(count, k, dtype=torch.int64) if given is None else given.contiguous()
    gates = logits.new_empty(count, k)
    kernel("route")(
        *(tensor.data_ptr() for tensor in (logits, bias, experts, gates)),
        *(*logits.shape, k, n_group, topk_group, int(given is not None), int(normalize), factor),
    )
    return experts, gates


def packed_heads(x: Tensor, weight: PrepackedWeight, out: Tensor) -> None:
    """out_g = W_g x_g of every head g: `x` [M, G, K] and `out` [M, G, N] float32, any strides but for the last axis."""
    assert x.stride(2) == out.stride(2) == 1
    call(
        "linear",
        *(x.data_ptr(), x.stride(0), x.stride(1), *weight.pointers, weight.type),
        *(out.data_ptr(), out.stride(0), out.stride(1), x.shape[1], x.shape[0], x.shape[2], weight.outputs),
    )


def select_slots(
    q: Tensor,
    weights: Tensor,
    pool: Tensor,
    context_slots: Tensor,
    positions: Tensor,
    k: int,
    key_scales: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The twin of `index_scores` and `topk_positions` over the paged index keys.

    `q` [B, S, J, D] and `weights` [B, S, J] float32, J at most 64; `pool` [slots, D] float32 or bfloat16, or uint8 with
    `key_scales` [slots];
    `context_slots` [B, T] slot of each position; `positions` [B, S] of the queries. Returns the slots that each
    query reads, by position, int32 [B, S, k], and how many there are, int32 [B, S].
    """
    batch, queries, heads, dim = q.shape
    q, weights, positions = q.contiguous(), weights.contiguous(), positions.contiguous()
    context_slots = context_slots.contiguous()
    chosen = torch.empty(batch, queries, k, dtype=torch.int32)
    counts = torch.empty(batch, queries, dtype=torch.int32)
    call(
        "select_slots",
        *(
            q.data_ptr(),
            weights.data_ptr(),
            pool.data_ptr(),
            None if key_scales is None else key_scales.data_ptr(),
        ),
        *(pool_type(pool), context_slots.data_ptr()),
        *(positions.data_ptr(), chosen.data_ptr(), counts.data_ptr()),
        *(batch, queries, context_slots.shape[1], heads, dim, k),
    )
    return chosen, counts


def sparse_attention(q: Tensor, pool: Tensor, chosen: Tensor, counts: Tensor, value_dim: int) -> Tensor:
    """The twin of `gathered_attention`: `q` [B, S, H, C+R] float32 with the softmax scale folded in.

    `pool` [slots, C+R] float32 or bfloat16, `chosen` and `counts` as `select_slots` gives them. Returns [B, S, H, C].
    """
    q = q.contiguous()
    *rows, heads, width = q.shape
    out = q.new_empty(*rows, heads, value_dim)
    call(
        "sparse_attention",
        *(
            q.data_ptr(),
            pool.data_ptr(),
            pool_type(pool),
            chosen.data_ptr(),
            counts.data_ptr(),
            out.data_ptr(),
        ),
        *(counts.numel(), heads, value_dim, width, chosen.shape[-1]),
    )
    return out
