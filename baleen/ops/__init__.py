"""Stateless tensor functions of the architecture: a plain reference for each."""

from baleen.ops.attention import fused_attention, gathered_attention, masked_attention
from baleen.ops.cache_layout import (
    index_key_bytes,
    latent_bytes,
    pack_index_keys,
    pack_index_pages,
    pack_latents,
    unpack_index_keys,
    unpack_index_pages,
    unpack_latents,
)
from baleen.ops.experts import expert_mlp, route
from baleen.ops.fp8 import FP8, dequantize, dequantize_tokens, quantize, quantize_tokens, scale_shape
from baleen.ops.hadamard import hadamard_matrix, hadamard_rotate
from baleen.ops.indexing import (
    blocked_index_scores,
    gathered_index_scores,
    index_kl,
    index_scores,
    selection_mask,
    topk_positions,
)
from baleen.ops.indexing_quantized import (
    fp8_index_scores,
    int8_index_scores,
    int8_index_vectors,
    quantized_index_scores,
)
from baleen.ops.rope import rope_inverse_frequencies, rotate_half_split, rotate_interleaved, yarn_mscale

__all__ = [
    "blocked_index_scores",
    "FP8",
    "dequantize",
    "dequantize_tokens",
    "expert_mlp",
    "fp8_index_scores",
    "fused_attention",
    "gathered_attention",
    "hadamard_matrix",
    "hadamard_rotate",
    "index_key_bytes",
    "gathered_index_scores",
    "index_kl",
    "index_scores",
    "latent_bytes",
    "masked_attention",
    "pack_index_keys",
    "pack_index_pages",
    "pack_latents",
    "quantize",
    "quantize_tokens",
    "quantized_index_scores",
    "rope_inverse_frequencies",
    "rotate_half_split",
    "rotate_interleaved",
    "route",
    "scale_shape",
    "selection_mask",
    "topk_positions",
    "unpack_index_keys",
    "unpack_index_pages",
    "unpack_latents",
    "int8_index_scores",
    "int8_index_vectors",
    "yarn_mscale",
]
