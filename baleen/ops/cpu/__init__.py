"""Fast twins of the plain operations for a CPU, in C++ compiled at first use."""

from baleen.ops.cpu.kernels import (
    PackedWeight,
    WeightFormat,
    available,
    instruction_set,
    missing,
    packed_experts,
    packed_linear,
)
from baleen.ops.cpu.layer import MAX_INDEX_HEADS, LatentAttention, Mixture, Reading, rms_norm
from baleen.ops.cpu.selection import select_positions
from baleen.ops.cpu.training import attend_selected, score_selected

__all__ = [
    "MAX_INDEX_HEADS",
    "LatentAttention",
    "Mixture",
    "PackedWeight",
    "Reading",
    "WeightFormat",
    "attend_selected",
    "available",
    "instruction_set",
    "missing",
    "packed_experts",
    "packed_linear",
    "rms_norm",
    "score_selected",
    "select_positions",
]
