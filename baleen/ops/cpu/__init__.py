"""Fast twins of the plain operations for a CPU, in C++ compiled at first use."""

from baleen.ops.cpu.kernels import (
    PrepackedWeight,
    WeightDtype,
    available,
    instruction_set,
    missing,
    prepacked_experts,
    prepacked_linear,
    rms_norm,
)
from baleen.ops.cpu.selection import MAX_INDEX_HEADS, select_positions
from baleen.ops.cpu.training import attend_selected, score_selected

__all__ = [
    "MAX_INDEX_HEADS",
    "PrepackedWeight",
    "WeightDtype",
    "attend_selected",
    "available",
    "instruction_set",
    "missing",
    "prepacked_experts",
    "prepacked_linear",
    "rms_norm",
    "score_selected",
    "select_positions",
]
