"""Whether an engine computes with the compiled CPU kernels or in plain PyTorch, and the line that says so."""

from dataclasses import dataclass

import torch

from baleen.config import ModelConfig, UserError
from baleen.config.engine import EngineConfig, WeightDtype
from baleen.model import why_not_prepacked
from baleen.ops import cpu


@dataclass(frozen=True)
class ComputePath:
    """weight_dtype: of the prepacked weights; None in plain PyTorch, because of `why_plain`."""

    weight_dtype: WeightDtype | None
    why_plain: str = ""

    def __str__(self) -> str:
        if self.weight_dtype is None:
            return f"plain PyTorch: {self.why_plain}"
        return f"weights: {self.weight_dtype} through the CPU kernels ({cpu.instruction_set()})"


def choose_path(
    config: EngineConfig, model: ModelConfig, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> ComputePath:
    """The path of `config` for a model whose weights are of `dtype`. Compiles the kernels if needed.

    With `weight_dtype="auto"` the weights keep the model's own precision. Raises UserError if a type is asked for by
    name and the kernels are not available.
    """
    if config.backend == "torch":
        return ComputePath(None, "as asked")
    reason = why_not_prepacked(model, torch.device(device))
    if config.weight_dtype != "auto":
        if reason:
            raise UserError(
                f"weight_dtype={config.weight_dtype!r} needs the CPU kernels: {reason}; or set it to 'auto', which "
                "uses plain PyTorch here"
            )
        return ComputePath(config.weight_dtype)
    if reason:
        return ComputePath(None, reason)
    return ComputePath("bfloat16" if dtype == torch.bfloat16 else "float32")
