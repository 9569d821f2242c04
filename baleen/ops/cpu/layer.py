"""The two halves of a packed decoder layer, one call each (layer.cpp).

Each is the twin of many plain operations; a token's result depends on that token and what it reads alone, to the bit.
"""

import ctypes
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from baleen.ops.cpu.binding import call, kernel
from baleen.ops.cpu.kernels import PackedWeight, pool_type

# B sequences, S tokens of each, T context positions, K read ones, D hidden_size, C kv_lora_rank, R qk_rope_head_dim

MAX_INDEX_HEADS = 64
Reading = Literal["everything", "indexed", "given"]
_READINGS: tuple[Reading, ...] = ("everything", "indexed", "given")


class _Matrix(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("data", "scale")),
        *((name, ctypes.c_int) for name in ("type", "groups", "inputs", "outputs")),
    ]


class _Parts:
    """A dataclass that the kernels read as a structure: its fields in order, tensors by their addresses."""

    @cached_property
    def _structure(self) -> ctypes.Structure:
        values = [_as_field(getattr(self, field.name)) for field in fields(self)]  # type: ignore[arg-type]
        names = [(f"f{i}", type(value)) for i, value in enumerate(values)]
        return type("Structure", (ctypes.Structure,), {"_fields_": names})(*values)

    @cached_property
    def address(self) -> int:
        return ctypes.addressof(self._structure)


def _as_field(value: Any) -> Any:
    if value is None:
        return _Matrix()
    if isinstance(value, PackedWeight):
        return _Matrix(*value.pointers, value.type, value.groups, value.inputs, value.outputs)
    if isinstance(value, Tensor):
        assert value.is_contiguous() and value.dtype == torch.float32
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_float(value) if isinstance(value, float) else ctypes.c_int(value)


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """`x` [..., n] float32 over its root mean square, times `weight` [n]."""
    x = x.contiguous()
    out = torch.empty_like(x)
    size = x.shape[-1]
    kernel("rms_norm")(x.data_ptr(), weight.data_ptr(), out.data_ptr(), x.numel() // size, size, eps)
    return out


@dataclass(frozen=True)
class LatentAttention(_Parts):
    """The norm before MLA, and MLA with its indexer, in MQA mode. Projections of one input are one matrix.

    down: to query latent, latent and rotated key, index key; up: of the query latent, to the heads' queries and the
    indexer's; absorbed_k, absorbed_v: the halves of kv_b_proj, a matrix a head, the first times softmax_scale.
    Norms are float32; without an indexer those of its key are empty. rope: R. index_scale: of the head weights.
    """

    down: PackedWeight
    up: PackedWeight
    absorbed_k: PackedWeight
    absorbed_v: PackedWeight
    o_proj: PackedWeight
    head_weights: PackedWeight | None
    norm: Tensor
    q_norm: Tensor
    kv_norm: Tensor
    key_norm: Tensor
    key_bias: Tensor
    rope: int
    eps: float
    key_eps: float
    softmax_scale: float
    index_scale: float

    def __post_init__(self) -> None:
        heads = self.head_weights.outputs if self.head_weights else 0
        assert heads <= MAX_INDEX_HEADS, f"{heads} index heads; the kernel takes at most {MAX_INDEX_HEADS}"

    def __call__(
        self,
        x: Tensor,
        angles: tuple[Tensor, Tensor],
        cache: tuple[Tensor, Tensor, Tensor | None],
        where: tuple[Tensor, Tensor, Tensor],
        reading: Reading,
        chosen: Tensor,
        counts: Tensor,
    ) -> Tensor:
        """`x` [B, S, D] float32 -> the same shape; the tokens enter the caches first.

        angles: cos and sin [B, S, R/2]. cache: latents [slots, C + R] and index keys, of one type, float32 or bfloat16,
        or index keys of uint8 with their scales [slots].
        where: slots [B, S] that the tokens write, slot of each context position [B, T], positions [B, S], all int64.
        chosen [B, S, K] and counts [B, S], int32: the slots that each token reads, in order, and how many. They are
        written here unless they are "given": all up to the token itself ("everything", K = T) or the K best by the
        indexer ("indexed").
        """
        x, out = x.contiguous(), torch.empty_like(x)
        slots, context, positions = (tensor.contiguous() for tensor in where)
        tensors = (x, *(tensor.contiguous() for tensor in angles), slots, context, positions, *cache[:2])
        scales = cache[2]
        call(
            "latent_attention",
            *(self.address, *(tensor.data_ptr() for tensor in tensors)),
            None if scales is None else scales.data_ptr(),
            *(pool_type(cache[0]), _READINGS.index(reading), chosen.data_ptr(), counts.data_ptr()),
            *(out.data_ptr(), *x.shape[:2], context.shape[1], chosen.shape[2]),
        )
        return out


@dataclass(frozen=True)
class Mixture(_Parts):
    """The norm before a mixture of experts, its weights and how it routes (V3 report, sec. 2.1.2): k experts a token.

    gate, norm and bias are float32. groups, kept_groups: of group-limited routing; factor: of the gates.
    """

    gate: PackedWeight
    gate_proj: PackedWeight
    up_proj: PackedWeight
    down_proj: PackedWeight
    shared_gate_proj: PackedWeight
    shared_up_proj: PackedWeight
    shared_down_proj: PackedWeight
    norm: Tensor
    bias: Tensor
    k: int
    groups: int
    kept_groups: int
    normalise: bool
    eps: float
    factor: float

    def __call__(self, x: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
        """`x` [M, D] float32 -> [M, D], and the experts [M, k] int64 that were used: the `given` ones, if any."""
        x = x.contiguous()
        out = torch.empty_like(x)
        experts = given.contiguous() if given is not None else x.new_empty(len(x), self.k, dtype=torch.int64)
        call(
            "mixture",
            *(self.address, x.data_ptr(), experts.data_ptr(), int(given is not None), out.data_ptr(), len(x)),
        )
        return out, experts
