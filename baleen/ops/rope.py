"""Rotary position embedding in the two layouts that V3.2 uses, and YaRN's frequency rescaling.

MLA rotates neighboring pairs (2i, 2i+1); the lightning indexer rotates (i, i + d/2). Using one layout for both
changes no output while the context is shorter than `index_topk`, and silently picks wrong tokens beyond it.
"""

import math

import torch
from torch import Tensor


def rope_inverse_frequencies(
    dim: int,
    theta: float,
    *,
    factor: float = 1.0,
    original_length: int = 0,
    beta_fast: float = 32.0,
    beta_slow: float = 1.0,
) -> Tensor:
    """Angular frequencies of the `dim // 2` rotary pairs, float32 `[dim // 2]`.

    With `factor` > 1, YaRN (Peng et al. 2023, eq. 17-19): pairs that turn more than `beta_fast` times within
    `original_length` positions keep their frequency, those below `beta_slow` turns are slowed by `factor`, and a
    linear ramp joins the two.
    """
    frequencies = 1.0 / theta ** (torch.arange(0, dim, 2, dtype=torch.float32) / dim)
    if factor <= 1.0:
        return frequencies

    def pair_turning(turns: float) -> float:
        return dim * math.log(original_length / (turns * 2 * math.pi)) / (2 * math.log(theta))

    low = max(math.floor(pair_turning(beta_fast)), 0)
    high = min(math.ceil(pair_turning(beta_slow)), dim - 1)
    ramp = (torch.arange(dim // 2, dtype=torch.float32) - low) / max(high - low, 0.001)
    slowed = ramp.clamp(0, 1)
    return frequencies / factor * slowed + frequencies * (1 - slowed)


def yarn_mscale(factor: float, mscale: float) -> float:
    """YaRN's correction m = 0.1 · mscale · ln(factor) + 1; the softmax scale takes m² (V2 report, sec. 3.1.4)."""
    return 1.0 if factor <= 1.0 else 0.1 * mscale * math.log(factor) + 1.0


def rotate_interleaved(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs (2i, 2i+1) of the last axis. `x` [..., d]; `cos`, `sin` broadcast to [..., d // 2]."""
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def rotate_half_split(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate pairs (i, i + d/2) of the last axis. `x` [..., d]; `cos`, `sin` broadcast to [..., d // 2]."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, first * sin + second * cos), dim=-1)
