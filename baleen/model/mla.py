"""Multi-head latent attention with DeepSeek sparse attention (V2 report, sec. 2.1; V3.2 report, sec. 2.1)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from baleen.config import ModelConfig
from baleen.model.backends import TORCH, Backend, training_backend
from baleen.model.cache import AttentionMetadata, Record
from baleen.model.indexer import Indexer
from baleen.ops import (
    fused_attention,
    index_kl,
    masked_attention,
    rotate_interleaved,
    selection_mask,
    topk_positions,
    yarn_mscale,
)

# B batch, S queries, T context positions, K selected, H heads, C kv_lora_rank, R qk_rope_head_dim

# Up to this many times index_topk, several queries are cheaper in masked MHA mode than by gathering latents: the FLOPs
# cross at 4.25 (F_mqa·k / (F_mha - F_idx) with the released sizes).
MATERIALIZE_WITHIN = 4


class Selection(NamedTuple):
    """The positions [B, S, K] that each query reads, and which of them are `valid`."""

    positions: Tensor
    valid: Tensor


class Projected(NamedTuple):
    """Projections of the new tokens [B, S, ...]."""

    x: Tensor  # normed hidden states
    c_q: Tensor  # query latent
    q_nope: Tensor  # [B, S, H, nope]
    q_rope: Tensor  # [B, S, H, R], rotated
    latent: Tensor  # [B, S, C + R], as cached
    keys: Tensor  # [B, S, index_head_dim] index keys
    cos: Tensor
    sin: Tensor


class MLA(nn.Module):
    """Attention that caches one latent per token: c_kv (normed) and k_rope (rotated), shared by all heads."""

    def __init__(self, config: ModelConfig, layer_idx: int):
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        heads, latent = config.num_attention_heads, config.kv_lora_rank
        self.q_a_proj = nn.Linear(config.hidden_size, config.q_lora_rank, bias=False)
        self.q_a_layernorm = nn.RMSNorm(config.q_lora_rank, eps=config.rms_norm_eps)
        self.q_b_proj = nn.Linear(config.q_lora_rank, heads * config.qk_head_dim, bias=False)
        self.kv_a_proj_with_mqa = nn.Linear(config.hidden_size, latent + config.qk_rope_head_dim, bias=False)
        self.kv_a_layernorm = nn.RMSNorm(latent, eps=config.rms_norm_eps)
        self.kv_b_proj = nn.Linear(latent, heads * (config.qk_nope_head_dim + config.v_head_dim), bias=False)
        self.o_proj = nn.Linear(heads * config.v_head_dim, config.hidden_size, bias=False)
        self.indexer = Indexer(config) if config.index_n_heads else None  # V3 has none
        scaling = config.rope_scaling
        m = yarn_mscale(scaling.factor, scaling.mscale_all_dim) if scaling else 1.0
        self.softmax_scale = config.qk_head_dim**-0.5 * m * m

    def forward(
        self, x: Tensor, cos: Tensor, sin: Tensor, meta: AttentionMetadata, record: Record | None = None
    ) -> Tensor:
        """`x` [B, S, hidden_size], `cos`/`sin` [B, S, R/2]. Returns [B, S, hidden_size]."""
        return self.o_proj(self.attend(self.project(x, cos, sin), meta, record).flatten(2))

    def project(self, x: Tensor, cos: Tensor, sin: Tensor) -> Projected:
        """Queries, latents and index keys of `x` [B, S, hidden_size]; `cos`/`sin` [B, S, R/2]."""
        config = self.config
        c_q = self.q_a_layernorm(self.q_a_proj(x))
        q = self.q_b_proj(c_q).unflatten(-1, (config.num_attention_heads, config.qk_head_dim))
        q_nope, q_rope = q.split([config.qk_nope_head_dim, config.qk_rope_head_dim], dim=-1)
        q_rope = rotate_interleaved(q_rope, cos.unsqueeze(2), sin.unsqueeze(2))
        c_kv, k_rope = self.kv_a_proj_with_mqa(x).split(
            [config.kv_lora_rank, config.qk_rope_head_dim], dim=-1
        )
        latent = torch.cat((self.kv_a_layernorm(c_kv), rotate_interleaved(k_rope, cos, sin)), dim=-1)
        keys = latent[..., :0] if self.indexer is None else self.indexer.keys(x.detach(), cos, sin)
        return Projected(x, c_q, q_nope, q_rope, latent, keys, cos, sin)

    def observe(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """Index scores of whole sequences `x` [B, S, hidden_size], and the attention that they imitate, for plots.

        Returns:
            The scores [B, S, S], not masked, and the probabilities of dense attention, averaged over heads [B, S, S].
        """
        assert self.indexer is not None, "index_n_heads=0: a model without indexers has no index scores"
        found = self.project(x, cos, sin)
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        _, probs = self._materialized(
            found.q_nope, found.q_rope, found.latent, causal.expand(len(x), -1, -1), True
        )
        assert probs is not None, "probabilities were asked for"
        return self.indexer(x, found.c_q, cos, sin, found.keys), probs.mean(1)

    def attend(self, projected: Projected, meta: AttentionMetadata, record: Record | None) -> Tensor:
        """Select, read, and learn the index; returns the heads' outputs [B, S, H, d_v]. New tokens are cached first."""
        config = self.config
        pool, keys, context_slots = self._context(projected.latent, projected.keys, meta)
        keep = meta.visible(context_slots.shape[1])
        learns_index = record is not None and record.index_kl
        chosen = None
        if config.sparse_attention and keep.shape[-1] > config.index_topk:
            chosen = self._select(projected, keys, keep, meta, record)
        if meta.paged is not None:
            meta.paged.record(self.layer_idx, keep, chosen)
        out, probs = self._read(projected, pool, context_slots, keep, chosen, meta, learns_index)
        if record is not None and learns_index and probs is not None:
            self._learn_index(projected, keys, keep, chosen, probs, meta, record)
        return out

    @torch.no_grad()
    def _select(
        self, projected: Projected, keys: Tensor, keep: Tensor, meta: AttentionMetadata, record: Record | None
    ) -> Selection:
        """S_t: the `index_topk` positions in `keep` [B, S, T] with the largest index scores, or those of a replay."""
        config = self.config
        if record is not None and record.replay_selected is not None:
            replayed = record.replay_selected[:, :, self.layer_idx]
            return Selection(replayed.clamp(min=0), replayed >= 0)
        assert self.indexer is not None, "index_n_heads=0: a model without indexers attends densely"
        x, c_q, *_, cos, sin = projected
        q, weights = self.indexer.queries(x, c_q, cos, sin)
        backend = training_backend(meta, keys, config)
        return Selection(*backend.index_topk(q, keys, weights, keep, meta.positions, config.index_topk))

    def _read(
        self,
        projected: Projected,
        pool: Tensor,
        context_slots: Tensor,
        keep: Tensor,
        chosen: Selection | None,
        meta: AttentionMetadata,
        wants_probs: bool,
    ) -> tuple[Tensor, Tensor | None]:
        """Attention over `chosen`, else over `keep`: [B, S, H, d_v], and the probabilities if wanted.

        These are [B, H, S, K] of the chosen positions, else [B, H, S, T].
        """
        x, _, q_nope, q_rope, latent, *_ = projected
        if x.shape[1] > 1 and (
            chosen is None or keep.shape[-1] <= MATERIALIZE_WITHIN * self.config.index_topk
        ):
            support = keep if chosen is None else keep & selection_mask(*chosen, keep.shape[-1])
            latents = latent if meta.paged is None else nn.functional.embedding(context_slots, pool)
            out, probs = self._materialized(q_nope, q_rope, latents, support, wants_probs)
            if probs is not None and chosen is not None:
                probs = probs.gather(-1, chosen.positions.unsqueeze(1).expand(-1, probs.shape[1], -1, -1))
            return out, probs
        slots = context_slots.unsqueeze(1).expand(-1, x.shape[1], -1)
        if chosen is None:
            return self._absorbed(q_nope, q_rope, pool, slots, keep, TORCH)
        slots = slots.gather(-1, chosen.positions)
        backend = training_backend(meta, latent, self.config)
        return self._absorbed(q_nope, q_rope, pool, slots, chosen.valid, backend)

    def _learn_index(
        self,
        projected: Projected,
        keys: Tensor,
        keep: Tensor,
        chosen: Selection | None,
        probs: Tensor,
        meta: AttentionMetadata,
        record: Record,
    ) -> None:
        """Append the indexer's loss to `record`: over S_t in the sparse stage, over all of `keep` in the warm-up.

        The indexer learns from this loss alone, and its inputs are cut from the graph (V3.2 report, sec. 2.1.1).
        """
        assert self.indexer is not None, "index_n_heads=0: a model without indexers has no index loss"
        x, c_q, *_, cos, sin = projected
        inputs = (x.detach(), c_q.detach(), cos, sin)
        if chosen is not None:
            q, weights = self.indexer.queries(*inputs)
            backend = training_backend(meta, keys, self.config)
            scores, support = backend.index_scores_at(q, keys, weights, *chosen), chosen.valid
        else:
            scores, support = self.indexer(*inputs, keys), keep
            top = Selection(*topk_positions(scores.detach(), keep, self.config.index_topk))
            mass = probs.detach().mean(1).gather(-1, top.positions)
            record.index_recalls.append(record.average(mass.masked_fill(~top.valid, 0.0).sum(-1)))
        record.index_losses.append(record.average(index_kl(probs, scores, support)))

    def _context(
        self, latent: Tensor, keys: Tensor, meta: AttentionMetadata
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(pool of latents [N, C+R], index keys [B, T, D], slot of each context position [B, T])."""
        if meta.paged is None:
            slots = torch.arange(latent.shape[0] * latent.shape[1], device=latent.device)
            return latent.flatten(0, 1), keys, slots.view(latent.shape[:2])
        cache, context_slots = meta.paged.cache, meta.paged.context_slots
        cache.write(self.layer_idx, meta.paged.slot_mapping, latent, keys)
        keys = nn.functional.embedding(context_slots, cache.index_k[self.layer_idx])
        return cache.kv[self.layer_idx], keys, context_slots

    def _materialized(
        self, q_nope: Tensor, q_rope: Tensor, latents: Tensor, keep: Tensor, wants_probs: bool
    ) -> tuple[Tensor, Tensor | None]:
        """MHA mode: expand every head's key and value from `latents` [B, T, C+R]. Returns [B, S, H, d_v], probs."""
        config = self.config
        c_kv, k_rope = latents.split([config.kv_lora_rank, config.qk_rope_head_dim], dim=-1)
        kv = self.kv_b_proj(c_kv).unflatten(-1, (config.num_attention_heads, -1))
        k_nope, v = kv.split([config.qk_nope_head_dim, config.v_head_dim], dim=-1)
        k = torch.cat((k_nope, k_rope.unsqueeze(2).expand(-1, -1, config.num_attention_heads, -1)), dim=-1)
        q = torch.cat((q_nope, q_rope), dim=-1)
        if wants_probs:
            return masked_attention(q, k, v, keep, self.softmax_scale)
        return fused_attention(q, k, v, keep, self.softmax_scale), None

    def _absorbed(
        self,
        q_nope: Tensor,
        q_rope: Tensor,
        pool: Tensor,
        slots: Tensor,
        valid: Tensor,
        backend: Backend,
    ) -> tuple[Tensor, Tensor]:
        """MQA mode: fold kv_b_proj's key half into the query and its value half into the output."""
        config = self.config
        up = self.kv_b_proj.weight.unflatten(0, (config.num_attention_heads, -1))  # [H, nope + v, C]
        w_k, w_v = up.split([config.qk_nope_head_dim, config.v_head_dim], dim=1)
        q = torch.cat((torch.einsum("bshd,hdc->bshc", q_nope, w_k), q_rope), dim=-1)
        out, probs = backend.sparse_attention(q, pool, slots, valid, self.softmax_scale, config.kv_lora_rank)
        return torch.einsum("bshc,hdc->bshd", out, w_v), probs
