"""Interchangeable implementations of sparse attention's operations, in plain PyTorch and compiled."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from baleen.config import ModelConfig
from baleen.model.cache import AttentionMetadata
from baleen.ops import (
    blocked_index_scores,
    cpu,
    gathered_attention,
    gathered_index_scores,
    topk_positions,
)

# B batch, S queries, T context positions, K selected, H heads, J index heads, D index_head_dim


@dataclass(frozen=True)
class Backend:
    """Operations that compute the same numbers on every backend, up to rounding.

    Attributes:
        index_topk: (q [B, S, J, D], keys [B, T, D], weights [B, S, J], keep [B, S, T], positions [B, S], k) -> the
            selected positions [B, S, K] and which are valid [B, S, K].
        index_scores_at: (q, keys, weights, positions [B, S, K], valid [B, S, K]) -> the index scores [B, S, K] of
            selected positions, arbitrary where not valid.
        sparse_attention: the signature of `ops.gathered_attention`.
    """

    index_topk: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]
    index_scores_at: Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
    sparse_attention: Callable[[Tensor, Tensor, Tensor, Tensor, float, int], tuple[Tensor, Tensor]]


def _index_topk(
    q: Tensor, keys: Tensor, weights: Tensor, keep: Tensor, positions: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    return topk_positions(blocked_index_scores(q, keys, weights), keep, k)


def _index_scores_at(q: Tensor, keys: Tensor, weights: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
    return gathered_index_scores(q, keys, weights, positions)


def _compiled_index_topk(
    q: Tensor, keys: Tensor, weights: Tensor, keep: Tensor, positions: Tensor, k: int
) -> tuple[Tensor, Tensor]:
    return cpu.select_positions(q, weights, keys, positions, k)


TORCH = Backend(_index_topk, _index_scores_at, gathered_attention)
CPU = Backend(_compiled_index_topk, cpu.score_selected, cpu.attend_selected)


def training_backend(meta: AttentionMetadata, keys: Tensor, config: ModelConfig) -> Backend:
    """The fastest backend for a batch: compiled for packed float32 rows on a CPU, else PyTorch."""
    fits = keys.dtype == torch.float32 and config.index_n_heads <= cpu.MAX_INDEX_HEADS
    packed = meta.segments is not None and meta.paged is None
    return CPU if packed and keys.device.type == "cpu" and fits and cpu.available() else TORCH
