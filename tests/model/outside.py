"""`transformers` beside Baleen: random small models, the same folder in both, and the sets that both indexers choose.

Both compute index scores in float32 but sum in another order, so scores that are equal in exact arithmetic (ReLU
makes many zeros) may be chosen differently. `Selection` shows that every difference is such a tie and then hands the
outside model our choice, so that the layers after it still compare.
"""

import random
from pathlib import Path

import torch
from torch import Tensor

from baleen.config import ModelConfig
from baleen.model import AttentionMetadata, LatentCache, Paged, Transformer, save_model
from baleen.model.backends import backend
from baleen.ops import selection_mask

VOCAB = 97


def random_config(seed: int) -> ModelConfig:
    """A small config: heads, ranks, widths, groups, YaRN and indexer drawn by `seed`."""
    draw = random.Random(seed)
    rope, groups = draw.choice([4, 8, 16]), draw.choice([1, 2, 4])
    kept = draw.randint(1, groups)
    per_group = draw.choice([2, 3, 4])
    yarn = {
        "factor": draw.choice([2.0, 4.0, 40.0]),
        "original_max_position_embeddings": draw.choice([32, 64]),
    }
    yarn |= {"mscale": 1.0, "mscale_all_dim": draw.choice([0.5, 1.0])}
    return ModelConfig(
        vocab_size=VOCAB,
        hidden_size=draw.choice([32, 48]),
        num_hidden_layers=2,
        first_k_dense_replace=draw.randint(0, 2),
        intermediate_size=48,
        moe_intermediate_size=draw.choice([16, 24]),
        num_attention_heads=draw.choice([1, 2, 4]),
        q_lora_rank=draw.choice([16, 24]),
        kv_lora_rank=draw.choice([16, 32]),
        qk_nope_head_dim=draw.choice([8, 12, 16]),
        qk_rope_head_dim=rope,
        v_head_dim=draw.choice([8, 16, 40]),
        n_routed_experts=groups * per_group,
        n_shared_experts=draw.choice([1, 2]),
        num_experts_per_tok=draw.randint(1, kept * per_group),
        n_group=groups,
        topk_group=kept,
        routed_scaling_factor=draw.choice([1.0, 2.5]),
        index_n_heads=draw.choice([4, 8, 16]),
        index_head_dim=rope + draw.choice([0, 4, 16]),
        index_topk=draw.randint(8, 64),
        rope_theta=draw.choice([1000.0, 10000.0]),
        rope_scaling=yarn if draw.random() < 0.5 else None,
    )


def build(config: ModelConfig, seed: int) -> Transformer:
    """Random weights; norms and routing bias too, which at their usual start of 1 and 0 would hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    model = Transformer(config).initialize(generator).eval()
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if "norm" in name or name.endswith("correction_bias"):
                tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.1)
            if "embed_tokens" in name or "lm_head" in name:
                tensor.mul_(10)
    return model


def in_transformers(model: Transformer, folder: Path, dtype: torch.dtype = torch.float32):
    """`model` written by us and read by `transformers`, which must find every tensor and no other."""
    import transformers

    save_model(model, folder)
    kind = getattr(transformers, model.config.to_hf_dict()["architectures"][0])
    outside, loading = kind.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"] and not loading["mismatched_keys"]
    return outside.eval()


def random_ids(batch: int, length: int, seed: int = 1) -> Tensor:
    return torch.randint(0, VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def cached_logits(model: Transformer, ids: Tensor, chunks: list[int], dtype=torch.float32) -> Tensor:
    """Logits of `ids` [B, S] fed through the paged cache in `chunks`; slots are scattered as a server's are."""
    batch, length = ids.shape
    assert sum(chunks) == length
    cache = LatentCache(model.config, batch * length + 1, dtype)
    slots = torch.randperm(batch * length, generator=torch.Generator().manual_seed(0)).view(batch, length) + 1
    parts, start = [], 0
    for size in chunks:
        end = start + size
        paged = Paged(cache, slots[:, start:end], slots[:, :end])
        meta = AttentionMetadata(torch.arange(start, end).expand(batch, -1), paged=paged)
        parts.append(model.logits(model.hidden_states(ids[:, start:end], meta)))
        start = end
    return torch.cat(parts, 1)


class Selection:
    """Records our indexers' choices of a full forward pass and holds those of `outside` against them."""

    def __init__(self, monkeypatch, outside):
        self.ours: list[tuple[Tensor, Tensor, Tensor]] = []  # scores, positions, valid
        self.compared = self.ties = 0
        self.worst_gap = (
            0.0  # largest difference of two scores that were exchanged, relative to the row's scores
        )

        def recorded(scores: Tensor, keep: Tensor, k: int) -> tuple[Tensor, Tensor]:
            positions, valid = topk(scores, keep, k)
            self.ours.append((scores, positions, valid))
            return positions, valid

        topk = backend.topk_positions
        monkeypatch.setattr(backend, "topk_positions", recorded)
        for number, layer in enumerate(outside.model.layers):
            layer.self_attn.indexer.register_forward_hook(
                lambda module, inputs, theirs, number=number: self._compare(number, theirs)
            )

    def replay(self, monkeypatch) -> None:
        """From now on our indexers choose what was recorded, layer after layer."""
        choices = iter(self.ours)

        def recorded(*_: object) -> tuple[Tensor, Tensor]:
            _, positions, valid = next(choices)
            return positions, valid

        monkeypatch.setattr(backend, "topk_positions", recorded)

    def _compare(self, layer: int, theirs: Tensor) -> Tensor:
        scores, positions, valid = self.ours[layer]
        queries = scores.shape[1]
        causal = torch.ones(queries, queries, dtype=torch.bool).tril()
        ours_set = selection_mask(positions, valid, queries)
        their_set = torch.zeros_like(ours_set).scatter(-1, theirs.long(), True) & causal
        assert torch.equal(ours_set.sum(-1), their_set.sum(-1))
        scale = scores.masked_fill(~causal, 0.0).abs().amax(-1)
        lost = scores.masked_fill(~(ours_set & ~their_set), float("-inf")).amax(-1)
        won = scores.masked_fill(~(their_set & ~ours_set), float("inf")).amin(-1)
        differs = lost.isfinite()
        self.compared += differs.numel()
        self.ties += int(differs.sum())
        if differs.any():
            self.worst_gap = max(self.worst_gap, float(((lost - won).abs() / scale)[differs].max()))
        return positions.to(theirs.dtype)
