"""Fast twins of the plain operations for a CPU, in C++ compiled at first use."""

from baleen.ops.cpu.kernels import (
    PackedWeight,
    WeightFormat,
    available,
    packed_experts,
    packed_linear,
)
from baleen.ops.cpu.layer import LatentAttention, Mixture, Reading, rms_norm

__all__ = [
    "LatentAttention",
    "Mixture",
    "PackedWeight",
    "Reading",
    "WeightFormat",
    "available",
    "packed_experts",
    "packed_linear",
    "rms_norm",
]
