"""A model whose next token is a checksum of what the cache holds: any slip in paging changes what it says."""

import numpy as np
import torch
from torch import Tensor, nn

from baleen.config import ModelConfig
from baleen.model import AttentionMetadata

VOCAB = 32


class ChecksumModel(nn.Module):
    """Has the face of `Transformer` that the engine uses. Whole numbers inside, so results are exact."""

    def __init__(self, salt: int = 0):
        super().__init__()
        self.config = ModelConfig.preset("tiny", vocab_size=VOCAB)
        self.lm_head = nn.Linear(1, VOCAB, bias=False, dtype=torch.float64)
        self.salt = salt
        self.forward_passes = 0

    def hidden_states(self, token_ids: Tensor, meta: AttentionMetadata) -> Tensor:
        """[B, S, 1] checksums. As in a transformer, what is cached of a token depends on those before it."""
        self.forward_passes += 1
        cache, slots = meta.paged.cache, meta.paged.slot_mapping.flatten()
        marked = torch.where(
            meta.paged.slot_mapping == 0, -9, token_ids
        )  # a read of padding shows in the checksum
        cache.kv[0][slots, 0] = marked.flatten().double()
        cache.routed_experts[slots] = token_ids.flatten()[:, None, None].to(torch.int16)
        visible = torch.arange(meta.paged.context_slots.shape[1]) <= meta.positions.unsqueeze(-1)
        prefixes = checksum(self._read(meta, 0), visible)
        cache.kv[0][slots, 1] = prefixes.flatten().double()
        return checksum(self._read(meta, 1), visible).unsqueeze(-1)

    def _read(self, meta: AttentionMetadata, column: int) -> Tensor:
        return meta.paged.cache.kv[0][meta.paged.context_slots][..., column].long().unsqueeze(1)

    def logits(self, checksums: Tensor) -> Tensor:
        wave = (checksums * 7919 + self.salt * 104729) % 65521
        return torch.sin(wave.double() * (torch.arange(VOCAB) + 1)).float() * 6

    def expected_logits(self, token_ids: list[int]) -> np.ndarray:
        """The logits after `token_ids`, without any cache."""
        context = torch.tensor([token_ids])
        visible = torch.ones(len(token_ids), len(token_ids), dtype=torch.bool).tril()
        prefixes = checksum(context.unsqueeze(1), visible)
        return self.logits(checksum(prefixes, visible[-1])).numpy()


def checksum(values: Tensor, visible: Tensor) -> Tensor:
    order = torch.arange(values.shape[-1])
    return ((values + 1) * (order + 1) * (order + 7) * visible).sum(-1) % 10007
