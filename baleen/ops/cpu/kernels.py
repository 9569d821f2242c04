"""The compiled kernels as functions of tensors. Each result depends on its own row alone, to the bit."""

from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from baleen.ops.cpu import build
from baleen.ops.cpu.binding import call, kernel

PANEL = 64  # output columns that are stored together
WeightDtype = Literal["float32", "bfloat16", "int8"]
# weights, caches; those of bytes are index keys
_TYPES = {torch.float32: 0, torch.bfloat16: 1, torch.int8: 2, torch.uint8: 2}
_PAIRED_TYPES = {torch.bfloat16: 3, torch.int8: 4, torch.uint8: 4}
# inputs of an output that lie side by side, bfloat16's only for tiles
_TOGETHER = {torch.bfloat16: 2, torch.int8: 4}

# M rows, K inputs, N outputs, G matrices of one shape (heads, experts)


def available() -> bool:
    """Whether the kernels can be used here; compiles them at the first call."""
    return not missing()


def missing() -> str:
    """Why the kernels cannot be used here and what to do; "" where they can. Compiles them at the first call."""
    return build.load()[1]


def instruction_set() -> str:
    """What the kernels compute with on this processor, for people: "AVX2", "AVX-512 and AMX"."""
    return build.instruction_set() + (" and AMX" if pairs() else "")


@cache
def pairs() -> bool:
    """Whether this processor has tile registers (Intel AMX) and this process may use them."""
    return bool(kernel("wants_pairs")())


@dataclass(frozen=True)
class PrepackedWeight:
    """G matrices [N, K] as the kernels read them: `data` [G, ceil(N/64), K, 64], `scale` [G, ceil(N/64) * 64] or None.

    Where the processor has tiles (`pairs`), bfloat16 is stored as these want, [G, ceil(N/64), K/2, 64, 2] with K padded
    to 32, and what is multiplied with it is rounded to bfloat16.
    int8 values are round(w / scale), with a scale for each output: its largest weight over 127. They are stored as
    [G, ceil(N/64), K/4, 64, 4] with K padded to 64; each row that is multiplied with them is rounded to whole numbers
    of 16 bits, its largest becoming 32,512.
    """

    data: Tensor
    scale: Tensor | None
    outputs: int
    inputs: int

    @classmethod
    def prepack(cls, matrices: Any, dtype: WeightDtype) -> "PrepackedWeight":
        """`matrices`: a tensor [G, N, K] of any floating type, or what has its shape and gives out one by one."""
        groups, outputs, inputs = matrices.shape
        padded = -(-outputs // PANEL) * PANEL
        kind = torch.int8 if dtype == "int8" else getattr(torch, dtype)
        paired = dtype == "int8" or (dtype == "bfloat16" and pairs())
        together = _TOGETHER[kind] if paired else 1
        step = 16 * together if paired else 1  # inputs that a tile takes at once
        depth = -(-inputs // step) * step
        data = torch.zeros(groups, padded // PANEL, depth, PANEL, dtype=kind)
        if paired:
            data = data.view(groups, padded // PANEL, depth // together, PANEL, together)
        scale = torch.zeros(groups, padded) if dtype == "int8" else None
        for group in range(groups):  # one at a time: no second copy of all experts
            values = matrices[group].detach().float()
            if scale is not None:
                scale[group, :outputs] = values.abs().amax(1).clamp(min=1e-30) / 127
                values = (values / scale[group, :outputs, None]).round()
            values = torch.nn.functional.pad(values, (0, depth - inputs, 0, padded - outputs))
            panels = values.view(-1, PANEL, depth)
            if paired:
                data[group] = panels.unflatten(2, (-1, together)).transpose(1, 2).to(kind)
            else:
                data[group] = panels.transpose(1, 2).to(kind)
        return cls(data, scale, outputs, inputs)

    def unpack(self) -> Tensor:
        """The float32 matrices [G, N, K] that are multiplied with."""
        plain = self.data.float().transpose(2, 3)
        if plain.dim() == 5:
            plain = plain.flatten(3, 4)[..., : self.inputs]
        plain = plain.flatten(1, 2)
        if self.scale is not None:
            plain = plain * self.scale.unsqueeze(-1)
        return plain[:, : self.outputs]

    # A decode step of a small model is made of some hundred calls: what they pass is looked up once.
    @cached_property
    def groups(self) -> int:
        return self.data.shape[0]

    @cached_property
    def type(self) -> int:
        return (_PAIRED_TYPES if self.data.dim() == 5 and pairs() else _TYPES)[self.data.dtype]

    @cached_property
    def pointers(self) -> tuple[int, int | None]:
        return self.data.data_ptr(), None if self.scale is None else self.scale.data_ptr()


def prepacked_linear(x: Tensor, weight: PrepackedWeight) -> Tensor:
    """y = W x: `x` [..., K] float32 and one matrix -> [..., N], or `x` [..., G, K] and G -> [..., G, N]."""
    groups, inputs, outputs = weight.groups, weight.inputs, weight.outputs
    x = x.contiguous()
    out = x.new_empty(*x.shape[:-1], outputs)
    rows = x.numel() // (inputs * groups)
    data, scale = weight.pointers
    call(
        "linear",
        *(x.data_ptr(), groups * inputs, inputs, data, scale, weight.type),
        *(out.data_ptr(), groups * outputs, outputs, groups, rows, inputs, outputs),
    )
    return out


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """`x` [..., n] float32 over its root mean square, times `weight` [n]."""
    x = x.contiguous()
    out = torch.empty_like(x)
    size = x.shape[-1]
    kernel("rms_norm")(x.data_ptr(), weight.data_ptr(), out.data_ptr(), x.numel() // size, size, eps)
    return out


def prepacked_experts(
    x: Tensor,
    experts: Tensor,
    gates: Tensor,
    gate_proj: PrepackedWeight,
    up_proj: PrepackedWeight,
    down_proj: PrepackedWeight,
) -> Tensor:
    """The twin of `expert_mlp`: `x` [M, D] float32, `experts` [M, k] int64, `gates` [M, k] float32. Returns [M, D]."""
    x, experts, gates = x.contiguous(), experts.contiguous(), gates.contiguous()
    out = torch.empty_like(x)
    call(
        "experts",
        *(x.data_ptr(), experts.data_ptr(), gates.data_ptr()),
        *gate_proj.pointers,
        *up_proj.pointers,
        *down_proj.pointers,
        *(gate_proj.type, out.data_ptr(), *experts.shape, gate_proj.groups, x.shape[1]),
        gate_proj.outputs,
    )
    return out


def pool_type(pool: Tensor) -> int:
    """How the kernels know the type of a cache's tensor."""
    return (_PAIRED_TYPES if pool.dtype in _PAIRED_TYPES and pairs() else _TYPES)[pool.dtype]
