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
from baleen.model.mla import MLA
from baleen.model.moe import MLP, Experts, MoE
from baleen.model.transformer import Transformer
from baleen.ops import cpu
from baleen.ops.cpu import (
    Norms,
    PackedWeight,
    WeightFormat,
    packed_experts,
    packed_heads,
    packed_linear,
    packed_route,
    rms_norm,
    rotate_queries,
    select_slots,
    sparse_attention,
    write_latents,
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


class PackedMoE(nn.Module):
    """Stands for a mixture of experts; the router stays float32."""

    def __init__(self, source: MoE, form: WeightFormat):
        super().__init__()
        self.config, self.moe_idx = source.config, source.moe_idx
        self.gate = PackedLinear(source.gate.weight, "float32")
        self.bias = source.gate.e_score_correction_bias.float().contiguous()
        self.experts = PackedExperts(source.experts, form)
        self.shared_experts = PackedMLP(source.shared_experts, form)

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        config, tokens = self.config, x.flatten(0, 1)
        recorded = record if self.moe_idx is not None else None
        given = None
        if recorded is not None and recorded.replay_experts is not None:
            given = recorded.replay_experts[:, :, self.moe_idx].flatten(0, 1)
        experts, gates = packed_route(
            self.gate(tokens),
            self.bias,
            config.num_experts_per_tok,
            config.n_group,
            config.topk_group,
            given=given,
            normalise=config.norm_topk_prob,
            factor=config.routed_scaling_factor,
        )
        if recorded is not None:
            recorded.routed_experts.append(experts.view(*x.shape[:2], -1))
        return self.experts(tokens, experts, gates).view_as(x) + self.shared_experts(x)


class PackedMLA(nn.Module):
    """Stands for MLA, in MQA mode over the paged cache: pieces of a prompt and decode steps agree to the bit.

    Projections of one input are one matrix: `down` of the hidden states, `up` of the query latent.
    """

    def __init__(self, source: MLA, form: WeightFormat):
        super().__init__()
        self.config, self.layer_idx = source.config, source.layer_idx
        config = source.config
        indexer, heads = source.indexer, config.num_attention_heads
        down = [source.q_a_proj.weight, source.kv_a_proj_with_mqa.weight]
        up = [source.q_b_proj.weight]
        key_weight = key_bias = torch.zeros(0)
        self.head_weights = None
        if indexer is not None:
            down.append(indexer.wk.weight)
            up.append(indexer.wq_b.weight)
            key_weight, key_bias = (
                indexer.k_norm.weight.detach().float(),
                indexer.k_norm.bias.detach().float(),
            )
            self.head_weights = PackedLinear(indexer.weights_proj.weight, "float32")
        self.down, self.up = PackedLinear(torch.cat(down), form), PackedLinear(torch.cat(up), form)
        self.norms = Norms(
            source.q_a_layernorm.weight.detach().float(),
            source.kv_a_layernorm.weight.detach().float(),
            key_weight,
            key_bias,
            config.rms_norm_eps,
            indexer.k_norm.eps if indexer is not None else 0.0,
        )
        self.softmax_scale = source.softmax_scale
        w_k, w_v = source.kv_b_proj.weight.unflatten(0, (heads, -1)).split(  # [H, nope + v, C]
            [config.qk_nope_head_dim, config.v_head_dim], dim=1
        )
        self.absorbed_k = PackedWeight.pack(w_k.transpose(1, 2) * source.softmax_scale, form)
        self.absorbed_v = PackedWeight.pack(w_v, form)
        self.o_proj = PackedLinear(source.o_proj.weight, form)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, meta: AttentionMetadata, record: Record | None = None
    ) -> Tensor:
        assert meta.paged is not None, "a packed model reads the paged cache"
        config, cache = self.config, meta.paged.cache
        kv, index_k = cache.kv[self.layer_idx], cache.index_k[self.layer_idx]
        slots = meta.paged.slot_mapping.flatten()
        c_q = write_latents(self.down(x).flatten(0, 1), cos, sin, self.norms, slots, kv, index_k)
        up, heads, nope = self.up(c_q), config.num_attention_heads, config.qk_nope_head_dim
        q = up.new_empty(up.shape[0], heads, config.kv_lora_rank + config.qk_rope_head_dim)
        index_q = up.new_empty(up.shape[0], config.index_n_heads, config.index_key_dim)
        rotate_queries(up, cos, sin, q, index_q, self.softmax_scale)
        q_nope = up[:, : heads * config.qk_head_dim].unflatten(1, (heads, config.qk_head_dim))[..., :nope]
        packed_heads(q_nope, self.absorbed_k, q[..., : config.kv_lora_rank])
        shape = x.shape[:2]
        chosen, counts = self._choose(x, index_q.unflatten(0, shape), meta, record)
        out = sparse_attention(q.unflatten(0, shape), kv, chosen, counts, config.kv_lora_rank)
        return self.o_proj(packed_linear(out, self.absorbed_v).flatten(2))

    def _choose(
        self, x: Tensor, index_q: Tensor, meta: AttentionMetadata, record: Record | None
    ) -> tuple[Tensor, Tensor]:
        """Slots that each token reads, int32 [B, S, K], and how many, int32 [B, S]."""
        assert meta.paged is not None
        cache, context, positions = meta.paged.cache, meta.paged.context_slots, meta.positions
        length, config = context.shape[1], self.config
        replayed = record.replay_selected if record is not None else None
        if replayed is not None:
            read = replayed[:, :, self.layer_idx]
            chosen = context.gather(1, read.clamp(min=0).flatten(1)).view_as(read).int()
            counts = (read >= 0).sum(-1).clamp(min=1).int()
        elif self.head_weights is not None and config.sparse_attention and length > config.index_topk:
            weights = self.head_weights(x) * (config.index_n_heads * config.index_head_dim) ** -0.5
            keys = cache.index_k[self.layer_idx]
            chosen, counts = select_slots(index_q, weights, keys, context, positions, config.index_topk)
        else:
            chosen = context.int().unsqueeze(1).expand(-1, positions.shape[1], -1).contiguous()
            counts = (positions + 1).int()
        if cache.selected is not None:
            # by position again: a slot that several rows read stands at one position in all of them
            position_of = torch.zeros(len(cache.selected), dtype=torch.int64)
            position_of[context] = torch.arange(length).expand_as(context)
            valid = torch.arange(chosen.shape[-1]) < counts.unsqueeze(-1)
            read = position_of[chosen.long() * valid]
            cache.write_selection(self.layer_idx, meta.paged.slot_mapping, read, valid)
        return chosen, counts


def _packed(module: nn.Module, form: WeightFormat) -> nn.Module:
    """`module` with every product below it packed; what holds no matrix is shared with the original."""
    if isinstance(module, nn.Linear | FP8Linear):
        return PackedLinear(module.weight, form)
    if isinstance(module, MoE):
        return PackedMoE(module, form)
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
