"""The model with its weights packed for the CPU kernels: the same modules, each product through `ops.cpu`.

A packed model serves: it computes from the paged cache, in float32 between the weights, and has no gradient. Every
number of a token depends on that token and its context alone, to the bit, however the tokens are batched or cut into
pieces.
"""

import copy

import torch
from torch import Tensor, nn

from baleen.model.cache import AttentionMetadata, Record
from baleen.model.fp8 import FP8Linear
from baleen.model.indexer import Float32Linear
from baleen.model.mla import MLA, Projected
from baleen.model.moe import MLP, Experts, Gate
from baleen.model.transformer import Transformer
from baleen.ops import cpu
from baleen.ops.cpu import (
    PackedWeight,
    WeightFormat,
    packed_experts,
    packed_linear,
    rms_norm,
    select_slots,
    sigmoid,
    sparse_attention,
)


def can_pack() -> bool:
    """Whether the kernels can be had here; compiles them at the first call, or says in one line why not."""
    return cpu.available()


def pack(model: Transformer, form: WeightFormat) -> Transformer:
    """A model for serving with its matrices in `form`; `model` is left alone. Norms and embedding are float32.

    What makes choices (router, `weights_proj`) stays float32 in every form.
    """
    packed = _packed(model, form)
    assert isinstance(packed, Transformer)
    return packed


class PackedLinear(nn.Module):
    """Stands for an `nn.Linear` without bias."""

    def __init__(self, weight: Tensor, form: WeightFormat):
        super().__init__()
        self.packed = PackedWeight.pack(weight.unsqueeze(0), form)

    def forward(self, x: Tensor) -> Tensor:
        return packed_linear(x, self.packed)


class PackedRMSNorm(nn.Module):
    """Stands for an `nn.RMSNorm`."""

    def __init__(self, norm: nn.RMSNorm):
        super().__init__()
        assert norm.eps is not None, "a norm of this model has its eps from the config"
        self.weight, self.eps = norm.weight.detach().float(), norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


class PackedGate(nn.Module):
    """Stands for the router."""

    def __init__(self, gate: Gate):
        super().__init__()
        self.packed = PackedWeight.pack(gate.weight.unsqueeze(0), "float32")
        self.e_score_correction_bias = gate.e_score_correction_bias

    def forward(self, tokens: Tensor) -> Tensor:
        return sigmoid(packed_linear(tokens, self.packed))


class PackedExperts(nn.Module):
    """Stands for the routed experts."""

    def __init__(self, experts: Experts, form: WeightFormat):
        super().__init__()
        self.gate_proj = PackedWeight.pack(experts.gate_proj, form)
        self.up_proj = PackedWeight.pack(experts.up_proj, form)
        self.down_proj = PackedWeight.pack(experts.down_proj, form)

    def forward(self, tokens: Tensor, experts: Tensor, gates: Tensor) -> Tensor:
        return packed_experts(tokens, experts, gates, self.gate_proj, self.up_proj, self.down_proj)


class PackedMLP(nn.Module):
    """Stands for a dense MLP or the shared expert: one expert that every token uses, fully."""

    def __init__(self, mlp: MLP, form: WeightFormat):
        super().__init__()
        parts = (mlp.gate_proj, mlp.up_proj, mlp.down_proj)
        self.parts = [PackedWeight.pack(part.weight.unsqueeze(0), form) for part in parts]

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        tokens = x.flatten(0, -2)
        alone = torch.zeros(len(tokens), 1, dtype=torch.int64)
        return packed_experts(tokens, alone, tokens.new_ones(len(tokens), 1), *self.parts).view_as(x)


class PackedMLA(MLA):
    """MLA in MQA mode over the paged cache, each query on its own: pieces of a prompt and decode steps agree."""

    def __init__(self, source: MLA, form: WeightFormat):
        nn.Module.__init__(self)  # the parts are the source's
        self.config, self.layer_idx, self.softmax_scale = (
            source.config,
            source.layer_idx,
            source.softmax_scale,
        )
        for name, child in source.named_children():
            if name == "kv_b_proj":
                continue
            self.add_module(name, _packed(child, form))
        if source.indexer is None:
            self.indexer = None
        up = source.kv_b_proj.weight.unflatten(0, (self.config.num_attention_heads, -1))  # [H, nope + v, C]
        w_k, w_v = up.split([self.config.qk_nope_head_dim, self.config.v_head_dim], dim=1)
        self.absorbed_k = PackedWeight.pack(w_k.transpose(1, 2), form)
        self.absorbed_v = PackedWeight.pack(w_v, form)

    def attend(self, projected: Projected, meta: AttentionMetadata, record: Record | None) -> Tensor:
        assert meta.paged is not None, "a packed model reads the paged cache"
        cache, context, positions = meta.paged.cache, meta.paged.context_slots, meta.positions
        cache.write(self.layer_idx, meta.paged.slot_mapping, projected.latent, projected.keys)
        length, k = context.shape[1], self.config.index_topk
        replayed = record.replay_selected if record is not None else None
        if replayed is not None:
            read = replayed[:, :, self.layer_idx]
            chosen = context.gather(1, read.clamp(min=0).flatten(1)).view_as(read).int()
            counts = (read >= 0).sum(-1).clamp(min=1).int()
        elif self.indexer is not None and self.config.sparse_attention and length > k:
            q, weights = self.indexer.queries(projected.x, projected.c_q, projected.cos, projected.sin)
            chosen, counts = select_slots(q, weights, cache.index_k[self.layer_idx], context, positions, k)
        else:
            chosen = context.int().unsqueeze(1).expand(-1, positions.shape[1], -1).contiguous()
            counts = (positions + 1).int()
        if cache.selected is not None:
            # by position again: a slot that several rows read stands at one position in all of them
            position_of = torch.zeros(len(cache.selected), dtype=torch.int64)
            position_of[context] = torch.arange(length).expand_as(context)
            valid = torch.arange(chosen.shape[-1]) < counts.unsqueeze(-1)
            cache.write_selection(
                self.layer_idx, meta.paged.slot_mapping, position_of[chosen.long() * valid], valid
            )
        q = torch.cat((packed_linear(projected.q_nope, self.absorbed_k), projected.q_rope), dim=-1)
        q = q * self.softmax_scale
        out = sparse_attention(q, cache.kv[self.layer_idx], chosen, counts, self.config.kv_lora_rank)
        return packed_linear(out, self.absorbed_v)


def _packed(module: nn.Module, form: WeightFormat) -> nn.Module:
    """`module` with every product below it packed; what holds no matrix is shared with the original."""
    if isinstance(module, nn.Linear | FP8Linear):
        return PackedLinear(module.weight, "float32" if isinstance(module, Float32Linear) else form)
    if isinstance(module, Gate):
        return PackedGate(module)
    if isinstance(module, Experts):
        return PackedExperts(module, form)
    if isinstance(module, MLP):
        return PackedMLP(module, form)
    if isinstance(module, MLA):
        return PackedMLA(module, form)
    if isinstance(module, nn.RMSNorm):
        return PackedRMSNorm(module)
    if isinstance(module, nn.LayerNorm | nn.Embedding):
        return copy.deepcopy(module).float()
    clone = copy.copy(module)
    clone._modules = {name: _packed(child, form) for name, child in module.named_children()}
    return clone
