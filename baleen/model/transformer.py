"""DeepSeek-V3.2 from token ids to logits. Start reading here; the parts are in mla.py, indexer.py, moe.py."""

import torch
from torch import Tensor, nn

from baleen.config import ModelConfig
from baleen.model.cache import AttentionMetadata, Record
from baleen.model.indexer import Indexer
from baleen.model.mla import MLA
from baleen.model.moe import MLP, Gate, MoE
from baleen.ops import rope_inverse_frequencies, yarn_mscale


def rope_frequencies(config: ModelConfig) -> Tensor:
    """The model's rotary frequencies, YaRN's rescaling included: float32 [qk_rope_head_dim / 2]."""
    scaling = config.rope_scaling
    extension = scaling.model_dump(include={"factor", "beta_fast", "beta_slow"}) if scaling else {}
    original = scaling.original_max_position_embeddings if scaling else 0
    return rope_inverse_frequencies(
        config.qk_rope_head_dim, config.rope_theta, original_length=original, **extension
    )


class DecoderLayer(nn.Module):
    """x + MLA(norm(x)), then x + MLP(norm(x)): a dense MLP in the first layers, a mixture of experts after."""

    def __init__(self, config: ModelConfig, layer_idx: int):
        super().__init__()
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.self_attn = MLA(config, layer_idx)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        moe_idx = layer_idx - config.first_k_dense_replace
        if moe_idx < 0:
            self.mlp = MLP(config.hidden_size, config.intermediate_size)
        else:
            self.mlp = MoE(config, moe_idx if layer_idx < config.num_hidden_layers else None)

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, meta: AttentionMetadata, record: Record | None
    ) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, meta, record)
        return x + self.mlp(self.post_attention_layernorm(x), record)


class MTPLayer(DecoderLayer):
    """Multi-token prediction: from h_t and the embedding of token t+1, predict token t+2 (V3 report, sec. 2.2).

    Stored as the layer after the last; embedding and output head are the main model's.
    """

    def __init__(self, config: ModelConfig):
        super().__init__(config, config.num_hidden_layers)
        self.enorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.hnorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.eh_proj = nn.Linear(2 * config.hidden_size, config.hidden_size, bias=False)
        self.shared_head = nn.ModuleDict({"norm": nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)})

    def forward(  # type: ignore[override]
        self,
        hidden: Tensor,
        embedded: Tensor,
        cos: Tensor,
        sin: Tensor,
        meta: AttentionMetadata,
        record: Record | None = None,
    ) -> Tensor:
        x = self.eh_proj(torch.cat((self.enorm(embedded), self.hnorm(hidden)), dim=-1))
        return self.shared_head["norm"](super().forward(x, cos, sin, meta, record))


class Backbone(nn.Module):
    """Embedding, layers and final norm, under the names of the checkpoint's `model.` prefix."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        layers: list[nn.Module] = [DecoderLayer(config, i) for i in range(config.num_hidden_layers)]
        layers += [MTPLayer(config) for _ in range(config.num_nextn_predict_layers)]
        self.layers = nn.ModuleList(layers)
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)


class Transformer(nn.Module):
    """The language model (`DeepseekV32ForCausalLM`): the same code trains and serves."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.model = Backbone(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        if config.tie_word_embeddings:
            self.lm_head.weight = self.model.embed_tokens.weight
        self.register_buffer("rope_frequencies", rope_frequencies(config), persistent=False)
        scaling = config.rope_scaling
        self.attention_factor = (
            yarn_mscale(scaling.factor, scaling.mscale) / yarn_mscale(scaling.factor, scaling.mscale_all_dim)
            if scaling
            else 1.0
        )

    def set_dtype(self, dtype: torch.dtype) -> "Transformer":
        """Weights in `dtype`, but for what makes choices: rounded, it ties tokens or moves experts across a bound."""
        self.to(dtype)
        for module in self.modules():
            if isinstance(module, Indexer):
                module.weights_proj.float()
            elif isinstance(module, Gate):
                module.e_score_correction_bias = module.e_score_correction_bias.float()
        self.restore_rope()
        return self

    def restore_rope(self) -> None:
        """Rotary frequencies anew from the config: no checkpoint holds them, and rounding would shift far positions."""
        self.rope_frequencies = rope_frequencies(self.config).to(self.model.embed_tokens.weight.device)

    def forward(self, token_ids: Tensor) -> Tensor:
        """`token_ids` [B, S] int64 -> next-token logits [B, S, vocab_size] float32."""
        return self.logits(self.hidden_states(token_ids))

    def hidden_states(
        self, token_ids: Tensor, meta: AttentionMetadata | None = None, record: Record | None = None
    ) -> Tensor:
        """Final normed hidden states [B, S, hidden_size]. `meta` carries positions and the serving cache."""
        meta = meta or self.metadata(token_ids)
        if record is None and meta.paged is not None:
            record = Record()
        x = self.model.embed_tokens(token_ids)
        cos, sin = self._rope(meta.positions)
        for layer in self.model.layers[: self.config.num_hidden_layers]:
            x = layer(x, cos, sin, meta, record)
        if meta.paged is not None and record is not None and record.routed_experts:
            experts = torch.stack(record.routed_experts, dim=2).flatten(0, 1)
            meta.paged.cache.routed_experts[meta.paged.slot_mapping.flatten()] = experts.to(torch.int16)
        return self.model.norm(x)

    def logits(self, hidden: Tensor) -> Tensor:
        """`hidden` [..., hidden_size] -> logits [..., vocab_size] float32."""
        return self.lm_head(hidden).float()

    def mtp_hidden_states(
        self,
        hidden: Tensor,
        token_ids: Tensor,
        meta: AttentionMetadata | None = None,
        record: Record | None = None,
        alone: bool = False,
    ) -> Tensor:
        """Hidden states that predict token t+2 for t = 0..S-2: [B, S-1, hidden_size].

        `hidden` [B, S, hidden_size] are the main model's, for `token_ids` [B, S]. `record` observes the MTP layer's
        S-1 positions. `alone` cuts the gradient to the main model: hidden states and embedding.
        """
        meta = meta or self.metadata(token_ids)
        segments = None if meta.segments is None else meta.segments[:, :-1]
        meta = AttentionMetadata(meta.positions[:, :-1], segments)
        hidden, embedded = hidden[:, :-1], self.model.embed_tokens(token_ids[:, 1:])
        if alone:
            hidden, embedded = hidden.detach(), embedded.detach()
        return self._mtp(hidden, embedded, meta, record)

    def draft_hidden_states(self, hidden: Tensor, next_ids: Tensor, meta: AttentionMetadata) -> Tensor:
        """Hidden states [B, S, hidden_size] that predict the token after the next.

        `hidden` [B, S, hidden_size] are the main model's at the positions of `meta`, `next_ids` [B, S] the tokens that
        follow these positions.
        """
        return self._mtp(hidden, self.model.embed_tokens(next_ids), meta, None)

    def _mtp(
        self, hidden: Tensor, embedded: Tensor, meta: AttentionMetadata, record: Record | None
    ) -> Tensor:
        cos, sin = self._rope(meta.positions)
        return self.model.layers[self.config.num_hidden_layers](hidden, embedded, cos, sin, meta, record)

    def metadata(self, token_ids: Tensor, segments: Tensor | None = None) -> AttentionMetadata:
        """Positions of a training batch: counted from the start of the row, or of each packed document."""
        order = torch.arange(token_ids.shape[1], device=token_ids.device).expand_as(token_ids)
        if segments is None:
            return AttentionMetadata(order)
        starts = torch.ones_like(segments, dtype=torch.bool)
        starts[:, 1:] = segments[:, 1:] != segments[:, :-1]
        return AttentionMetadata(order - torch.where(starts, order, 0).cummax(1).values, segments)

    def _rope(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        angles = positions.unsqueeze(-1).float() * self.rope_frequencies
        dtype = self.model.embed_tokens.weight.dtype
        return (angles.cos() * self.attention_factor).to(dtype), (angles.sin() * self.attention_factor).to(
            dtype
        )

    @torch.no_grad()
    def initialize(self, generator: torch.Generator) -> "Transformer":
        """Random weights: each matrix N(0, 1/fan_in), those that write to the residual stream smaller by depth."""
        depth = (2 * self.config.num_hidden_layers) ** -0.5
        for name, parameter in self.named_parameters():
            if parameter.ndim == 1:
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
                continue
            std = parameter.shape[-1] ** -0.5
            if name.endswith(("o_proj.weight", "down_proj.weight", "down_proj")):
                std *= depth
            if "embed_tokens" in name or "lm_head" in name:
                std = 0.02
            parameter.normal_(0.0, std, generator=generator)
        return self


def with_attention(model: Transformer, sparse: bool) -> Transformer:
    """`model`, or a copy with the same weights, that attends densely or sparsely."""
    if model.config.sparse_attention == sparse:
        return model
    twin = Transformer(model.config.replace(sparse_attention=sparse))
    twin.load_state_dict(model.state_dict())
    return twin
