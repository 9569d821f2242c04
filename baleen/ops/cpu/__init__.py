"""Fast twins of the plain operations for a CPU, in C++ (linear.cpp, sparse.cpp) compiled at first use."""

from baleen.ops.cpu.kernels import (
    PackedWeight,
    WeightFormat,
    available,
    packed_experts,
    packed_linear,
    rms_norm,
    select_slots,
    sigmoid,
    sparse_attention,
)

__all__ = [
    "PackedWeight",
    "WeightFormat",
    "available",
    "packed_experts",
    "packed_linear",
    "rms_norm",
    "select_slots",
    "sigmoid",
    "sparse_attention",
]
