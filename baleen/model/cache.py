"""What a forward pass may be given besides tokens (positions, cache) and what it may leave behind (a record)."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from baleen.config import ModelConfig


class LatentCache:
    """The paged cache of MLA and DSA: per layer one latent and one index key a token, addressed by slot.

    A slot belongs to one token of one sequence; sequences that share a prefix share slots. Slot 0 takes the writes
    of padding and is never read. `mtp` adds the MTP layer's entries, for speculative decoding. `index_bytes` keeps
    index keys in a byte a number, 128 for 0, with a scale each; only a packed model writes and reads such a cache.
    """

    def __init__(
        self,
        config: ModelConfig,
        num_slots: int,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        mtp: bool = False,
        record_selection: bool = False,
        index_bytes: bool = False,
    ):
        width = config.kv_lora_rank + config.qk_rope_head_dim
        layers = range(config.num_hidden_layers + (config.num_nextn_predict_layers if mtp else 0))
        # normed c_kv | rotated k_rope
        self.kv = [torch.zeros(num_slots, width, dtype=dtype, device=device) for _ in layers]
        key_dtype = torch.uint8 if index_bytes else dtype
        self.index_k = [
            torch.zeros(num_slots, config.index_key_dim, dtype=key_dtype, device=device) for _ in layers
        ]
        self.index_scale = [torch.zeros(num_slots, device=device) if index_bytes else None for _ in layers]
        # which experts each cached token used: a rollout's routing must be known for prefix-cached tokens too
        self.routed_experts = torch.zeros(
            num_slots, config.num_moe_layers, config.num_experts_per_tok, dtype=torch.int16, device=device
        )

        # and what it read: positions, -1 behind the last, for the main model's layers
        self.selected = (
            torch.full((num_slots, config.num_hidden_layers, config.index_topk), -1, dtype=torch.int32)
            if record_selection
            else None
        )

    def write_selection(self, layer: int, slots: Tensor, positions: Tensor, valid: Tensor) -> None:
        """Store which `positions` [B, S, K] the tokens at `slots` [B, S] read where `valid`, if that is wanted."""
        if self.selected is None or layer >= self.selected.shape[1]:  # the MTP layer only guesses
            return
        read = torch.where(valid, positions, -1).flatten(0, 1)
        row = read.new_full((len(read), self.selected.shape[2]), -1)
        row[:, : read.shape[1]] = read[:, : row.shape[1]]
        self.selected[slots.flatten(), layer] = row.to(torch.int32)

    def write(self, layer: int, slots: Tensor, latent: Tensor, index_k: Tensor) -> None:
        """Store `latent` [B, S, C+R] and `index_k` [B, S, D] at `slots` [B, S]."""
        assert self.index_scale[layer] is None, "index keys in bytes need a packed model"
        flat = slots.flatten()
        self.kv[layer][flat] = latent.flatten(0, 1).to(self.kv[layer].dtype)
        self.index_k[layer][flat] = index_k.flatten(0, 1).to(self.index_k[layer].dtype)


@dataclass
class Paged:
    """Where the tokens of a served batch are cached.

    slot_mapping: [B, S] slot that each token writes. context_slots: [B, T] slot of position t of the row's sequence,
    the new tokens included, 0 beyond its end.
    """

    cache: LatentCache
    slot_mapping: Tensor
    context_slots: Tensor

    def record(self, layer: int, keep: Tensor, chosen: tuple[Tensor, Tensor] | None) -> None:
        """Store what the new tokens read in `layer`: positions and validity [B, S, K], or all of `keep` [B, S, T]."""
        if self.cache.selected is not None:
            positions, valid = chosen or (torch.arange(keep.shape[-1]).expand_as(keep), keep)
            self.cache.write_selection(layer, self.slot_mapping, positions, valid)


@dataclass
class AttentionMetadata:
    """Where the tokens of a batch stand. Packed training fills `segments`, serving `paged`.

    positions: [B, S] int64 position of each token in its own sequence (padding: 0).
    segments: [B, S] int64 document number; tokens of different numbers do not see each other.
    """

    positions: Tensor
    segments: Tensor | None = None
    paged: Paged | None = None

    def visible(self, length: int) -> Tensor:
        """[B, S, T] True where query s may read context position t (causal, same document)."""
        if self.paged is not None:
            return torch.arange(length, device=self.positions.device) <= self.positions.unsqueeze(-1)
        order = torch.arange(length, device=self.positions.device)
        causal = (order <= order.unsqueeze(-1)).unsqueeze(0)
        if self.segments is None:
            return causal.expand(len(self.positions), -1, -1)
        return causal & (self.segments.unsqueeze(1) == self.segments.unsqueeze(2))


@dataclass
class Record:
    """What a forward pass is asked to observe or to replay; the layers append in order.

    counted: [B, S] False for padding, which enters no loss and no load. index_kl, balance: whether those losses are
    wanted. replay_experts: [B, S, num_moe_layers, k] enforces a rollout's routing ("keep routing", V3.2 sec. 3.1);
    replay_selected: [B, S, num_hidden_layers, K] what each token reads, by position, -1 for nothing.
    """

    counted: Tensor | None = None
    index_kl: bool = False
    balance: bool = False
    replay_experts: Tensor | None = None
    replay_selected: Tensor | None = None
    index_losses: list[Tensor] = field(default_factory=list)  # a scalar a layer: mean over queries, nats
    index_recalls: list[Tensor] = field(
        default_factory=list
    )  # dense attention's mass inside the indexer's top-k
    balance_losses: list[Tensor] = field(default_factory=list)  # a scalar a MoE layer
    routed_experts: list[Tensor] = field(default_factory=list)  # [B, S, k] a MoE layer

    def average(self, values: Tensor) -> Tensor:
        """Mean of `values` [B, S] over the counted tokens, 0 without any."""
        if self.counted is None:
            return values.mean()
        return values[self.counted].sum() / self.counted.sum().clamp(min=1)

    def expert_counts(self, n_routed_experts: int) -> Tensor:
        """[n_moe_layers, E] how many of the counted tokens' choices each expert got."""
        chosen = (
            experts if self.counted is None else experts[self.counted] for experts in self.routed_experts
        )
        return torch.stack([torch.bincount(one.flatten(), minlength=n_routed_experts) for one in chosen])

    def expert_load(self, n_routed_experts: int) -> Tensor:
        """[n_moe_layers, E] the share of `expert_counts` in each layer."""
        counts = self.expert_counts(n_routed_experts)
        return counts / counts.sum(-1, keepdim=True)
