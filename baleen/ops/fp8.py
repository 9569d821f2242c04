"""FP8 (e4m3): weights with one scale per 128 x 128 block, tokens with one per 128 numbers (V3 report, sec. 3.3.2)."""

import torch
from torch import Tensor

BLOCK = 128  # rows and columns that share a scale; the last block of a dimension may be smaller
FP8 = torch.float8_e4m3fn
SMALLEST = 1e-4  # what the release takes for the largest number of a group of smaller ones, zeros among them


def scale_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape of the block scales of a weight [..., O, I]: [..., ceil(O / 128), ceil(I / 128)]."""
    return (*shape[:-2], -(-shape[-2] // BLOCK), -(-shape[-1] // BLOCK))


def quantize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """`weight` [O, I] -> (e4m3 values [O, I], float32 scales by block); each block's largest number becomes 448.

    A number differs from its dequantized one by at most 2^-4 of itself, or scale x 2^-10 where it is tiny.
    """
    limit = torch.finfo(FP8).max
    scales = weight.new_ones(scale_shape(tuple(weight.shape)), dtype=torch.float32)
    values = torch.empty(weight.shape, dtype=FP8, device=weight.device)
    for i, rows in enumerate(weight.split(BLOCK)):
        strip = torch.nn.functional.pad(rows.float(), (0, -rows.shape[1] % BLOCK))
        blocks = strip.unflatten(1, (-1, BLOCK))  # [rows, blocks, 128]
        largest = blocks.abs().amax((0, 2))
        # below this the division would overflow; such a block rounds to zero
        scales[i] = torch.where(largest > 1e-30, largest / limit, 1.0)
        scaled = (blocks / scales[i].unsqueeze(-1)).clamp(-limit, limit).flatten(1)
        values[i * BLOCK : i * BLOCK + len(rows)] = scaled[:, : rows.shape[1]].to(FP8)
    return values, scales


def dequantize(values: Tensor, scales: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """value x scale of its block, computed in float32: e4m3 `values` [..., O, I] -> `dtype` [..., O, I].

    `scales` [..., ceil(O / 128), ceil(I / 128)] are float32 or powers of two (float8_e8m0fnu, "UE8M0").
    """
    weight = values.float()
    by_row = scales.float().repeat_interleave(BLOCK, -2)[..., : values.shape[-2], :]
    for block, columns in enumerate(weight.split(BLOCK, -1)):
        columns *= by_row[..., block : block + 1]
    return weight.to(dtype)


def quantize_tokens(x: Tensor, *, power_of_two: bool) -> tuple[Tensor, Tensor]:
    """`x` [..., D] -> (e4m3 values [..., D], float32 scales [..., ceil(D / 128)]), value x scale being near x.

    Each group's largest number becomes 448, or with `power_of_two` scales (the release's "ue8m0" for index keys)
    between 224 and 448; less where it is below `SMALLEST`. A number differs from its dequantized one by at most 2^-4
    of itself, or scale x 2^-10 where it is tiny. ValueError for what is not finite: a cache would hand it on to every
    request with that prefix.
    """
    x = x.float()
    if not x.isfinite().all():
        place = (~x.isfinite()).nonzero()[0].tolist()
        raise ValueError(
            f"cannot quantize {x[tuple(place)].item()} at {place}; find the layer that overflowed"
        )
    limit = torch.finfo(FP8).max
    groups = torch.nn.functional.pad(x, (0, -x.shape[-1] % BLOCK)).unflatten(-1, (-1, BLOCK))
    scales = groups.abs().amax(-1).clamp(min=SMALLEST) / limit
    if power_of_two:
        # mantissa in [1/2, 1): a power of two is 1/2 and stays as it is
        mantissa, exponent = torch.frexp(scales)
        scales = torch.ldexp(torch.ones_like(scales), exponent - (mantissa == 0.5).int())
    scaled = groups / scales.unsqueeze(-1)  # a hair above 448 at most, and the cast rounds that to 448
    return scaled.flatten(-2)[..., : x.shape[-1]].to(FP8), scales


def dequantize_tokens(values: Tensor, scales: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """value x scale of its group, computed in float32: e4m3 `values` [..., D] -> `dtype` [..., D]."""
    by_number = scales.float().repeat_interleave(BLOCK, -1)[..., : values.shape[-1]]
    return (values.float() * by_number).to(dtype)
