"""How an engine computes: through the compiled CPU kernels or in plain PyTorch; and the line that says so."""

from dataclasses import dataclass

import torch

from baleen.config import ModelConfig, UserError
from baleen.config.engine import EngineConfig, WeightFormat
from baleen.model import why_not_packed
from baleen.ops import cpu


@dataclass(frozen=True)
class ComputePath:
    """packed: the format of the weights that the kernels read; None in plain PyTorch, for the reason `why_plain`."""

    packed: WeightFormat | None
    why_plain: str = ""

    def __str__(self) -> str:
        if self.packed is None:
            return f"plain PyTorch: {self.why_plain}"
        return f"weights: {self.packed} through the CPU kernels ({cpu.instruction_set()})"


def choose_path(
    config: EngineConfig, model: ModelConfig, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> ComputePath:
    """The path of `config` for a model whose weights are of `dtype`. Compiles the kernels if they are wanted.

    With `weights="auto"` packed weights keep the model's own precision. Raises UserError where weights are asked for
    by name and the kernels cannot be had.
    """
    if config.backend == "torch":
        return ComputePath(None, "as asked")
    reason = why_not_packed(model, torch.device(device))
    if config.weights != "auto":
        if reason:
            raise UserError(
                f"weights={config.weights!r} needs the CPU kernels: {reason}; or set weights to 'auto', which takes "
                "plain PyTorch here"
            )
        return ComputePath(config.weights)
    if reason:
        return ComputePath(None, reason)
    return ComputePath("bfloat16" if dtype == torch.bfloat16 else "float32")
