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
        self.forward_passes += 1
        cache = meta.cache
        marked = torch.where(meta.slot_mapping == 0, -1, token_ids)  # a read of padding shows in the checksum
        cache.kv[0][meta.slot_mapping.flatten(), 0] = marked.flatten().double()
        cache.routed_experts[meta.slot_mapping.flatten()] = token_ids.flatten()[:, None, None].to(torch.int16)
        context = cache.kv[0][meta.context_slots][..., 0].long()
        order = torch.arange(context.shape[1])
        visible = order <= meta.positions.unsqueeze(-1)
        weights = (order + 1) * (order + 7)
        return ((context.unsqueeze(1) + 1) * weights * visible).sum(-1, keepdim=True)

    def logits(self, checksums: Tensor) -> Tensor:
        wave = (checksums * 7919 + self.salt * 104729) % 65521
        return torch.sin(wave.double() * (torch.arange(VOCAB) + 1)).float() * 6

    def expected_logits(self, token_ids: list[int]) -> np.ndarray:
        """The logits after `token_ids`, without any cache."""
        checksum = sum((token + 1) * (i + 1) * (i + 7) for i, token in enumerate(token_ids))
        return self.logits(torch.tensor([[checksum]]))[0].numpy()
