"""The model with its weights prepacked for the CPU kernels: the same modules, each product through `ops.cpu`.

A prepacked model serves: it reads the paged cache, computes in float32 between the weights, and has no gradient. Every
number of a token depends only on that token and its context, to the bit, however tokens are batched or chunked.
"""

import copy

import torch
from torch import Tensor, nn

from baleen.config import ModelConfig
from baleen.model.backends.cpu_layers import LatentAttention, Mixture, Reading
from baleen.model.cache import AttentionMetadata, Record
from baleen.model.fp8 import FP8Linear
from baleen.model.mla import MLA
from baleen.model.moe import MLP, MoE
from baleen.model.transformer import DecoderLayer, Transformer
from baleen.ops import cpu
from baleen.ops.cpu import (
    MAX_INDEX_HEADS,
    PrepackedWeight,
    WeightDtype,
    prepacked_experts,
    prepacked_linear,
    rms_norm,
)


def can_prepack() -> bool:
    """Whether the kernels are available here; compiles them at the first call."""
    return cpu.available()


def why_not_prepacked(config: ModelConfig, device: torch.device) -> str:
    """Why a model of `config` on `device` cannot be prepacked, as a clause; "" if it can. Compiles the kernels."""
    if device.type != "cpu":
        return f"the CPU kernels do not compute on {device}"
    if config.index_n_heads > MAX_INDEX_HEADS:
        return f"the CPU kernels take at most {MAX_INDEX_HEADS} index heads, the model has {config.index_n_heads}"
    return cpu.missing()


def prepack(model: Transformer, dtype: WeightDtype) -> Transformer:
    """A model for serving with its matrices in `dtype`; `model` is not changed. Norms and embedding are float32.

    What makes choices (router, `weights_proj`) is always float32.
    """
    prepacked = _prepacked(model, dtype)
    assert isinstance(prepacked, Transformer)
    return prepacked


class PrepackedLinear(nn.Module):
    """Replaces an `nn.Linear` without bias."""

    def __init__(self, weight: Tensor, dtype: WeightDtype):
        super().__init__()
        self.prepacked = _prepack(weight, dtype)

    def forward(self, x: Tensor) -> Tensor:
        return prepacked_linear(x, self.prepacked)


class PrepackedRMSNorm(nn.Module):
    """Replaces an `nn.RMSNorm`."""

    def __init__(self, norm: nn.RMSNorm):
        super().__init__()
        assert norm.eps is not None, "a norm of this model has its eps from the config"
        self.weight, self.eps = norm.weight.detach().float(), norm.eps

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x, self.weight, self.eps)


class PrepackedMLP(nn.Module):
    """Replaces a dense MLP: one expert that every token uses with a gate of 1."""

    def __init__(self, mlp: MLP, dtype: WeightDtype):
        super().__init__()
        parts = (mlp.gate_proj, mlp.up_proj, mlp.down_proj)
        self.parts = [_prepack(part.weight, dtype) for part in parts]

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        tokens = x.flatten(0, -2)
        alone = torch.zeros(len(tokens), 1, dtype=torch.int64)
        return prepacked_experts(tokens, alone, tokens.new_ones(len(tokens), 1), *self.parts).view_as(x)


class PrepackedMoE(nn.Module):
    """Replaces a mixture of experts and the norm before it; the router stays float32."""

    def __init__(self, norm: nn.RMSNorm, source: MoE, dtype: WeightDtype):
        super().__init__()
        config, self.moe_idx = source.config, source.moe_idx
        routed, shared = source.experts, source.shared_experts
        self.mixture = Mixture(
            _prepack(source.gate.weight, "float32"),
            *(
                PrepackedWeight.prepack(part, dtype)
                for part in (routed.gate_proj, routed.up_proj, routed.down_proj)
            ),
            *(_prepack(part.weight, dtype) for part in (shared.gate_proj, shared.up_proj, shared.down_proj)),
            norm=norm.weight.detach().float(),
            bias=source.gate.e_score_correction_bias.float().contiguous(),
            k=config.num_experts_per_tok,
            groups=config.n_group,
            kept_groups=config.topk_group,
            normalize=config.norm_topk_prob,
            eps=config.rms_norm_eps,
            factor=config.routed_scaling_factor,
        )

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        recorded = record if self.moe_idx is not None else None
        given = None
        if recorded is not None and recorded.replay_experts is not None:
            given = recorded.replay_experts[:, :, self.moe_idx].flatten(0, 1)
        out, experts = self.mixture(x.flatten(0, 1), given)
        if recorded is not None:
            recorded.routed_experts.append(experts.view(*x.shape[:2], -1))
        return out.view_as(x)


class PrepackedMLA(nn.Module):
    """Replaces MLA and the norm before it, in MQA mode over the paged cache.

    Chunks of a prompt and decode steps agree to the bit.
    """

    def __init__(self, norm: nn.RMSNorm, source: MLA, dtype: WeightDtype):
        super().__init__()
        self.config, self.layer_idx = source.config, source.layer_idx
        config, indexer = source.config, source.indexer
        down = [source.q_a_proj.weight, source.kv_a_proj_with_mqa.weight]
        up = [source.q_b_proj.weight]
        key_norm = key_bias = torch.zeros(0)
        index_scale = 0.0
        if indexer is not None:
            index_scale = (config.index_n_heads * config.index_head_dim) ** -0.5
            down.append(indexer.wk.weight)
            up.append(indexer.wq_b.weight)
            key_norm, key_bias = indexer.k_norm.weight, indexer.k_norm.bias
        w_k, w_v = source.kv_b_proj.weight.unflatten(0, (config.num_attention_heads, -1)).split(
            [config.qk_nope_head_dim, config.v_head_dim], dim=1
        )  # [H, nope, C], [H, v, C]
        self.attention = LatentAttention(
            down=_prepack(torch.cat(down), dtype),
            up=_prepack(torch.cat(up), dtype),
            absorbed_k=PrepackedWeight.prepack(w_k.transpose(1, 2).float() * source.softmax_scale, dtype),
            absorbed_v=PrepackedWeight.prepack(w_v, dtype),
            o_proj=_prepack(source.o_proj.weight, dtype),
            head_weights=_prepack(indexer.weights_proj.weight, "float32") if indexer is not None else None,
            norm=norm.weight.detach().float(),
            q_norm=source.q_a_layernorm.weight.detach().float(),
            kv_norm=source.kv_a_layernorm.weight.detach().float(),
            key_norm=key_norm.detach().float(),
            key_bias=key_bias.detach().float(),
            rope=config.qk_rope_head_dim,
            eps=config.rms_norm_eps,
            key_eps=indexer.k_norm.eps if indexer is not None else 0.0,
            softmax_scale=source.softmax_scale,
            index_scale=index_scale,
        )

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, meta: AttentionMetadata, record: Record | None = None
    ) -> Tensor:
        assert meta.paged is not None, "a packed model reads the paged cache"
        cache, context, config = meta.paged.cache, meta.paged.context_slots, self.config
        replayed = record.replay_selected if record is not None else None
        reading: Reading = "everything"
        width = context.shape[1]
        if replayed is not None:
            reading, chosen, counts = "given", *_slots_of(replayed[:, :, self.layer_idx], context)
        else:
            if self.attention.head_weights and config.sparse_attention and width > config.index_topk:
                reading, width = "indexed", config.index_topk
            chosen = torch.empty(*x.shape[:2], width, dtype=torch.int32)
            counts = torch.empty(*x.shape[:2], dtype=torch.int32)
        out = self.attention(
            x,
            (cos, sin),
            (cache.kv[self.layer_idx], cache.index_k[self.layer_idx], cache.index_scale[self.layer_idx]),
            (meta.paged.slot_mapping, context, meta.positions),
            reading,
            chosen,
            counts,
        )
        if cache.selected is not None:
            valid = torch.arange(chosen.shape[-1]) < counts.unsqueeze(-1)
            read = _positions_of(chosen * valid, context, len(cache.selected))
            cache.write_selection(self.layer_idx, meta.paged.slot_mapping, read, valid)
        return out


def _slots_of(positions: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """int32 slots [B, S, K] of `positions` [B, S, K], padded with -1, in `context` [B, T]; and how many [B, S]."""
    slots = context.gather(1, positions.clamp(min=0).flatten(1)).view_as(positions)
    return slots.int(), (positions >= 0).sum(-1).clamp(min=1).int()


def _positions_of(slots: Tensor, context: Tensor, pool: int) -> Tensor:
    """Positions of `slots`: one that several rows of `context` [B, T] read stands at one position in all of them."""
    position_of = torch.zeros(pool, dtype=torch.int64)
    position_of[context] = torch.arange(context.shape[1]).expand_as(context)
    return position_of[slots.long()]


def _prepack(matrix: Tensor, dtype: WeightDtype) -> PrepackedWeight:
    return PrepackedWeight.prepack(matrix.unsqueeze(0), dtype)


def _prepacked(module: nn.Module, dtype: WeightDtype) -> nn.Module:
    """`module` with every product in it prepacked; what holds no matrix is shared with the original."""
    if isinstance(module, nn.Linear | FP8Linear):
        return PrepackedLinear(module.weight, dtype)
    if isinstance(module, MLP):
        return PrepackedMLP(module, dtype)
    if isinstance(module, nn.RMSNorm):
        return PrepackedRMSNorm(module)
    if isinstance(module, nn.LayerNorm | nn.Embedding):
        return copy.deepcopy(module).float()
    done = _prepacked_parts(module, dtype) if isinstance(module, DecoderLayer) else {}
    clone = copy.copy(module)
    clone._modules = {
        name: done[name] if name in done else _prepacked(child, dtype)
        for name, child in module.named_children()
    }
    return clone


def _prepacked_parts(layer: DecoderLayer, dtype: WeightDtype) -> dict[str, nn.Module]:
    """The modules that include the norm before them."""
    parts: dict[str, nn.Module] = {
        "input_layernorm": nn.Identity(),
        "self_attn": PrepackedMLA(layer.input_layernorm, layer.self_attn, dtype),
    }
    if isinstance(layer.mlp, MoE):
        parts["post_attention_layernorm"] = nn.Identity()
        parts["mlp"] = PrepackedMoE(layer.post_attention_layernorm, layer.mlp, dtype)
    return parts
