"""The two ways to compute multi-head latent attention (V2 report, sec. 2.1; V3.2 report, fig. 7)."""

import torch
from torch import Tensor

# B batch, S queries, T context positions, K selected positions, H heads, C kv_lora_rank, R qk_rope_head_dim


def masked_attention(q: Tensor, k: Tensor, v: Tensor, keep: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """MHA mode: keys and values of every head are materialized, and a mask says which a query may read.

    `q` [B, S, H, d], `k` [B, T, H, d], `v` [B, T, H, d_v], `keep` [B, S, T] with at least one True a row.
    Returns the output [B, S, H, d_v] and the probabilities [B, H, S, T].
    """
    scores = torch.einsum("bshd,bthd->bhst", q * scale, k).float()
    probs = scores.masked_fill(~keep.unsqueeze(1), float("-inf")).softmax(-1)
    return torch.einsum("bhst,bthd->bshd", probs.to(v.dtype), v), probs


def fused_attention(q: Tensor, k: Tensor, v: Tensor, keep: Tensor, scale: float) -> Tensor:
    """The fast twin of `masked_attention`, without probabilities: PyTorch's fused kernel never stores [B, H, S, T]."""
    pad = q.shape[-1] - v.shape[-1]  # the CPU kernel asks for values as wide as keys
    v = torch.nn.functional.pad(v, (0, pad)) if pad > 0 else v
    heads_first = (x.transpose(1, 2) for x in (q, k, v))
    out = torch.nn.functional.scaled_dot_product_attention(
        *heads_first, attn_mask=keep.unsqueeze(1), scale=scale
    )
    return out.transpose(1, 2)[..., : v.shape[-1] - max(pad, 0)]


def gathered_attention(
    q: Tensor, pool: Tensor, slots: Tensor, valid: Tensor, scale: float, value_dim: int
) -> tuple[Tensor, Tensor]:
    """MQA mode: all heads attend over the same few latents, read from the pool once for all heads.

    `q` [B, S, H, C+R] (the key up-projection folded in), `pool` [N, C+R] latents of all tokens, `slots` [B, S, K]
    rows of the pool, `valid` [B, S, K] with at least one True a row; values are the first `value_dim` = C columns.
    Returns the output [B, S, H, C] (the value up-projection still to come) and the probabilities [B, H, S, K].
    """
    latents = torch.nn.functional.embedding(
        slots, pool
    )  # [B, S, K, C+R]; its backward beats index_put's on a CPU
    scores = torch.matmul(q * scale, latents.transpose(-1, -2)).float()  # [B, S, H, K]
    probs = scores.masked_fill(~valid.unsqueeze(2), float("-inf")).softmax(-1)
    out = torch.matmul(probs.to(latents.dtype), latents[..., :value_dim])
    return out, probs.transpose(1, 2)
