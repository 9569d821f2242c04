"""Compiled sparse attention and index scores for packed training rows, with their gradients."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from baleen.ops.cpu.binding import call

# B rows, S queries, H heads, K selected, C kv_lora_rank, R qk_rope_head_dim, J index heads, D index_head_dim


def attend_selected(
    q: Tensor, pool: Tensor, slots: Tensor, valid: Tensor, scale: float, value_dim: int
) -> tuple[Tensor, Tensor]:
    """The fast twin of `ops.gathered_attention` for float32 rows whose queries read their own row alone.

    `q` [B, S, H, C+R], `pool` [N, C+R], `slots` [B, S, K] int64, `valid` [B, S, K] with its True ones first. Returns
    the output [B, S, H, C] and the probabilities [B, H, S, K], through which no gradient flows.
    """
    out, probs = _Attention.apply(q, pool, slots, valid, scale, value_dim)
    return out, probs.transpose(1, 2)


def score_selected(q: Tensor, keys: Tensor, weights: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
    """The fast twin of `ops.gathered_index_scores`: [B, S, K], 0 where not `valid`.

    `q` [B, S, J, D], `keys` [B, S, D], `weights` [B, S, J], all float32; `positions` and `valid` [B, S, K].
    """
    rows = positions + keys.shape[1] * torch.arange(len(keys)).view(-1, 1, 1)
    return _Scores.apply(q, keys.flatten(0, 1), weights, rows, valid)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, q: Tensor, pool: Tensor, slots: Tensor, valid: Tensor, scale: float, value_dim: int
    ) -> tuple[Tensor, Tensor]:
        q, pool, slots, valid = (tensor.contiguous() for tensor in (q, pool, slots, valid))
        batch, length, heads, width = q.shape
        sizes = (batch, length, heads, value_dim, width, slots.shape[-1])
        out = q.new_empty(batch, length, heads, value_dim)
        probs = q.new_empty(batch, length, heads, slots.shape[-1])
        call("gathered_attention", *_addresses(q, pool, slots, valid, out, probs), *sizes, scale)
        ctx.save_for_backward(q, pool, slots, valid, probs)
        ctx.sizes, ctx.scale = sizes, scale
        ctx.mark_non_differentiable(probs)
        return out, probs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, pool, slots, valid, probs = ctx.saved_tensors
        dout, dq, dpool = grad_outputs[0].contiguous(), torch.empty_like(q), torch.zeros_like(pool)
        tensors = _addresses(dout, q, pool, slots, valid, probs, dq, dpool)
        call("gathered_attention_backward", *tensors, *ctx.sizes, ctx.scale)
        return dq, dpool, None, None, None, None


class _Scores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, keys: Tensor, weights: Tensor, slots: Tensor, valid: Tensor) -> Tensor:
        tensors = [tensor.contiguous() for tensor in (q, weights, keys, slots, valid)]
        scores = q.new_empty(slots.shape)
        ctx.sizes = (*q.shape, slots.shape[-1])
        call("gathered_scores", *_addresses(*tensors, scores), *ctx.sizes)
        ctx.save_for_backward(*tensors)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        q, weights, keys, slots, valid = ctx.saved_tensors
        dq, dweights, dkeys = torch.empty_like(q), torch.empty_like(weights), torch.zeros_like(keys)
        dscores = grad_outputs[0].contiguous()
        tensors = _addresses(dscores, q, weights, keys, slots, valid, dq, dweights, dkeys)
        call("gathered_scores_backward", *tensors, *ctx.sizes)
        return dq, dkeys, dweights, None, None


def _addresses(*tensors: Tensor) -> list[int]:
    return [tensor.data_ptr() for tensor in tensors]
