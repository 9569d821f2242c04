"""Stateless tensor functions of the architecture: a plain reference for each."""

from baleen.ops.attention import fused_attention, gathered_attention, masked_attention
from baleen.ops.experts import expert_mlp, route
from baleen.ops.fp8 import FP8, dequantise, quantise, scale_shape
from baleen.ops.indexing import index_kl, index_scores, selection_mask, topk_positions
from baleen.ops.rope import rope_inverse_frequencies, rotate_half_split, rotate_interleaved, yarn_mscale

__all__ = [
    "FP8",
    "dequantise",
    "expert_mlp",
    "fused_attention",
    "gathered_attention",
    "index_kl",
    "index_scores",
    "masked_attention",
    "quantise",
    "rope_inverse_frequencies",
    "rotate_half_split",
    "rotate_interleaved",
    "route",
    "scale_shape",
    "selection_mask",
    "topk_positions",
    "yarn_mscale",
]
