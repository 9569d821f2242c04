"""The two halves of a prepacked decoder layer: their weights, and one kernel call each (ops/cpu/layer.cpp).

Each is the twin of many plain operations. A token's result depends only on that token and what it reads, to the bit.
"""

import ctypes
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from baleen.ops.cpu import MAX_INDEX_HEADS, PrepackedWeight
from baleen.ops.cpu.binding import call
from baleen.ops.cpu.kernels import pool_type

# B sequences, S tokens of each, T context positions, K read ones, D hidden_size, C kv_lora_rank, R qk_rope_head_dim

Reading = Literal["everything", "indexed", "given"]
_READINGS: tuple[Reading, ...] = ("everything", "indexed", "given")


class _Matrix(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("data", "scale")),
        *((name, ctypes.c_int) for name in ("type", "groups", "inputs", "outputs")),
    ]


class _Parts:
    """A dataclass that the kernels read as a C structure: its fields in order, tensors by their addresses."""

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
    if isinstance(value, PrepackedWeight):
        return _Matrix(*value.pointers, value.type, value.groups, value.inputs, value.outputs)
    if isinstance(value, Tensor):
        assert value.is_contiguous() and value.dtype == torch.float32
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_float(value) if isinstance(value, float) else ctypes.c_int(value)


@dataclass(frozen=True)
class LatentAttention(_Parts):
    """The norm before MLA, and MLA with its indexer, in MQA mode. Projections of the same input are one matrix.

    Attributes:
        down: to query latent, latent and rotated key, index key.
        up: from the query latent to the queries of the heads and of the indexer.
        absorbed_k, absorbed_v: the halves of kv_b_proj, one matrix per head, the first times softmax_scale.
        norm, q_norm, kv_norm, key_norm, key_bias: float32; those of the index key are empty without an indexer.
        rope: R.
        index_scale: of the head weights.
    """

    down: PrepackedWeight
    up: PrepackedWeight
    absorbed_k: PrepackedWeight
    absorbed_v: PrepackedWeight
    o_proj: PrepackedWeight
    head_weights: PrepackedWeight | None
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

        Args:
            angles: cos and sin [B, S, R/2].
            cache: latents [slots, C + R] and index keys, both float32 or bfloat16, or index keys of uint8 with their
                scales [slots].
            where: slots [B, S] that the tokens write, slot of each context position [B, T], positions [B, S]; int64.
            reading: which tokens are read: all up to the token itself ("everything", K = T), the K best by the
                indexer ("indexed"), or those "given".
            chosen, counts: int32 [B, S, K] and [B, S], the slots that each token reads, in order, and how many; outputs
                unless "given".
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
    """The norm before a mixture of experts, its weights, and its routing (V3 report, sec. 2.1.2).

    Attributes:
        gate, norm, bias: float32.
        k: experts per token.
        groups, kept_groups: of group-limited routing.
        factor: of the gates.
    """

    gate: PrepackedWeight
    gate_proj: PrepackedWeight
    up_proj: PrepackedWeight
    down_proj: PrepackedWeight
    shared_gate_proj: PrepackedWeight
    shared_up_proj: PrepackedWeight
    shared_down_proj: PrepackedWeight
    norm: Tensor
    bias: Tensor
    k: int
    groups: int
    kept_groups: int
    normalize: bool
    eps: float
    factor: float

    def __call__(self, x: Tensor, given: Tensor | None) -> tuple[Tensor, Tensor]:
        """`x` [M, D] float32 -> [M, D], and the experts [M, k] int64 that were used: those `given`, if any."""
        x = x.contiguous()
        out = torch.empty_like(x)
        experts = given.contiguous() if given is not None else x.new_empty(len(x), self.k, dtype=torch.int64)
        call(
            "mixture",
            *(self.address, x.data_ptr(), experts.data_ptr(), int(given is not None), out.data_ptr(), len(x)),
        )
        return out, experts
