"""Fast twins of the plain operations for a CPU, in C++ compiled at first use."""

from baleen.ops.cpu.kernels import (
    PackedWeight,
    WeightFormat,
    available,
    packed_experts,
    packed_heads,
    packed_linear,
    select_slots,
    sparse_attention,
)
from baleen.ops.cpu.mla import Norms, packed_route, rms_norm, rotate_queries, write_latents

__all__ = [
    "Norms",
    "PackedWeight",
    "WeightFormat",
    "available",
    "packed_experts",
    "packed_heads",
    "packed_linear",
    "packed_route",
    "rms_norm",
    "rotate_queries",
    "select_slots",
    "sparse_attention",
    "write_latents",
]
