"""Bytes of a cached token in FP8, as the released kernels read them (FlashMLA's README; DeepGEMM's paged scores).

    MLA          C e4m3 values of c_kv | a float32 scale per 128 of them | R bfloat16 numbers of k_rope
    index key    D e4m3 values | a float32 scale per 128 of them

With the released sizes 512 + 16 + 128 = 656 and 128 + 4 = 132 bytes. A page of MLA tokens is the tokens one after the
other; a page of index keys is the values of all its tokens, then the scales of all its tokens. Numbers are little
endian. k_rope is never quantized. The other way of each function gives back the very bytes.
"""

import torch
from torch import Tensor

from baleen.ops.fp8 import BLOCK, FP8

# P tokens of a page, C kv_lora_rank, R qk_rope_head_dim, D index_head_dim, G = ceil(C / 128) or ceil(D / 128) scales


def latent_bytes(kv_lora_rank: int, qk_rope_head_dim: int) -> int:
    """Bytes of a token of MLA in one layer."""
    return index_key_bytes(kv_lora_rank) + 2 * qk_rope_head_dim


def index_key_bytes(index_head_dim: int) -> int:
    """Bytes of an index key in one layer."""
    return index_head_dim + 4 * -(-index_head_dim // BLOCK)


def pack_latents(values: Tensor, scales: Tensor, k_rope: Tensor) -> Tensor:
    """e4m3 `values` [..., C], float32 `scales` [..., G], `k_rope` [..., R] -> uint8 [..., C + 4G + 2R].

    k_rope is rounded to bfloat16; ValueError if the others are not of the type that is stored.
    """
    return torch.cat(
        (_bytes(values, FP8), _bytes(scales, torch.float32), _bytes(k_rope.bfloat16(), torch.bfloat16)), -1
    )


def unpack_latents(packed: Tensor, kv_lora_rank: int, qk_rope_head_dim: int) -> tuple[Tensor, Tensor, Tensor]:
    """`packed` uint8 [..., C + 4G + 2R] -> e4m3 values [..., C], float32 scales [..., G], bfloat16 k_rope [..., R]."""
    _check(packed, latent_bytes(kv_lora_rank, qk_rope_head_dim), "kv_lora_rank and qk_rope_head_dim")
    values, scales, k_rope = packed.tensor_split([kv_lora_rank, index_key_bytes(kv_lora_rank)], -1)
    return _numbers(values, FP8), _numbers(scales, torch.float32), _numbers(k_rope, torch.bfloat16)


def pack_index_keys(values: Tensor, scales: Tensor) -> Tensor:
    """e4m3 `values` [..., D] and float32 `scales` [..., G] -> uint8 [..., D + 4G], token by token."""
    return torch.cat((_bytes(values, FP8), _bytes(scales, torch.float32)), -1)


def unpack_index_keys(packed: Tensor, index_head_dim: int) -> tuple[Tensor, Tensor]:
    """`packed` uint8 [..., D + 4G] -> e4m3 values [..., D], float32 scales [..., G]."""
    _check(packed, index_key_bytes(index_head_dim), "index_head_dim")
    values, scales = packed.tensor_split([index_head_dim], -1)
    return _numbers(values, FP8), _numbers(scales, torch.float32)


def pack_index_pages(values: Tensor, scales: Tensor) -> Tensor:
    """e4m3 `values` [..., P, D] and float32 `scales` [..., P, G] -> uint8 [..., P · (D + 4G)], values first."""
    return pack_index_keys(values.flatten(-2), scales.flatten(-2))


def unpack_index_pages(packed: Tensor, page_size: int, index_head_dim: int) -> tuple[Tensor, Tensor]:
    """`packed` uint8 [..., P · (D + 4G)] -> e4m3 values [..., P, D], float32 scales [..., P, G]."""
    _check(packed, page_size * index_key_bytes(index_head_dim), "page_size and index_head_dim")
    values, scales = packed.tensor_split([page_size * index_head_dim], -1)
    by_token = (part.unflatten(-1, (page_size, -1)) for part in (values, scales))
    values, scales = by_token
    return _numbers(values, FP8), _numbers(scales, torch.float32)


def _bytes(numbers: Tensor, dtype: torch.dtype) -> Tensor:
    if numbers.dtype != dtype:
        raise ValueError(f"the cache stores {dtype} here, got {numbers.dtype}; quantize the token first")
    return numbers.contiguous().view(torch.uint8)


def _numbers(packed: Tensor, dtype: torch.dtype) -> Tensor:
    return packed.contiguous().view(dtype)


def _check(packed: Tensor, width: int, sizes: str) -> None:
    if packed.dtype != torch.uint8 or packed.shape[-1] != width:
        raise ValueError(
            f"packed has {packed.shape[-1]} numbers of {packed.dtype}, the layout {width} bytes (torch.uint8); "
            f"check {sizes}"
        )
