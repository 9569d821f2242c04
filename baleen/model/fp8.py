"""Weights that stay FP8 in memory and are dequantized, block by block, each time they are used."""

import torch
from torch import Tensor, nn

from baleen.ops import FP8, dequantize, scale_shape


class FP8Weight(nn.Module):
    """e4m3 values and block scales as read from a checkpoint: buffers, for they are not trained.

    stored: [..., O, I] float8_e4m3fn. weight_scale_inv: [..., ceil(O / 128), ceil(I / 128)] `scale_dtype`.
    """

    stored: Tensor
    weight_scale_inv: Tensor

    def __init__(self, shape: torch.Size, scale_dtype: torch.dtype, dtype: torch.dtype):
        super().__init__()
        self.dtype = dtype  # of the arithmetic
        self.register_buffer("stored", torch.empty(shape, dtype=FP8))
        self.register_buffer("weight_scale_inv", torch.empty(scale_shape(tuple(shape)), dtype=scale_dtype))


class FP8Linear(FP8Weight):
    """Stands for an `nn.Linear` without bias."""

    @property
    def weight(self) -> Tensor:
        """[O, I] dequantized, made anew at each use."""
        return dequantize(self.stored, self.weight_scale_inv, self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self.weight)


class FP8Stack(FP8Weight):
    """Stands for the stacked weights of the experts, [E, O, I]; only the expert asked for is dequantized."""

    @property
    def shape(self) -> torch.Size:
        return self.stored.shape

    def __getitem__(self, expert: int) -> Tensor:
        return dequantize(self.stored[expert], self.weight_scale_inv[expert], self.dtype)
