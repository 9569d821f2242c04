"""Trainer log-probabilities that equal the engine's to the bit (`deterministic` of a stage).

The prepacked model computes a token to the same bits in a prompt and in a decode step, so one pass over a rollout
reproduces what the engine computed token by token, and the engine's sampler does the rest. With the engine's weights
every importance ratio is exactly 1, so clipping and masking see changes of the policy and nothing else.
"""

import numpy as np
import torch
from torch import Tensor

from baleen.config.stages import RLStage
from baleen.engine import sampled_logprobs
from baleen.model import AttentionMetadata, LatentCache, Paged, Record, Transformer
from baleen.rl.batch import RolloutBatch


@torch.no_grad()
def bitwise_logprobs(packed: Transformer, batch: RolloutBatch, stage: RLStage) -> Tensor:
    """[N] float32, nats: of each sampled token of `batch`, as an engine with the weights of `packed` computes them."""
    rows, starts, sizes = _places(batch)
    longest = int(sizes.max())
    order = torch.arange(longest).expand(len(rows), -1)
    inside = order < sizes.unsqueeze(1)
    columns = torch.where(inside, starts.unsqueeze(1) + order, 0)
    at = rows.unsqueeze(1), columns
    slots = torch.where(inside, 1 + torch.arange(inside.numel()).view_as(order), 0)
    cache = LatentCache(packed.config, inside.numel() + 1)
    meta = AttentionMetadata(torch.where(inside, order, 0), paged=Paged(cache, slots, slots))
    selected = None
    if stage.keep_selection and batch.selected is not None:
        read = batch.selected[at]
        selected = torch.where(read >= 0, read - starts.view(-1, 1, 1, 1), -1)
    record = Record(
        replay_experts=batch.experts[at] if stage.keep_routing and batch.experts is not None else None,
        replay_selected=selected,
    )
    hidden = packed.hidden_states(batch.token_ids[at], meta, record)
    logits = packed.logits(hidden[batch.sequence, batch.columns - starts[batch.sequence]])
    mask = None
    if stage.keep_sampling_mask and batch.sampling_mask is not None:
        mask = batch.sampling_mask.numpy()
    found = sampled_logprobs(logits.numpy(), batch.targets.numpy(), stage.temperature, mask)
    return torch.from_numpy(found.astype(np.float32))


def straight_through(differentiable: Tensor, value: Tensor) -> Tensor:
    """`value`, to the bit, with the gradient of `differentiable`."""
    return value + (differentiable - differentiable.detach())


def _places(batch: RolloutBatch) -> tuple[Tensor, Tensor, Tensor]:
    """Row, first column and length [R] of each rollout in the packed rows."""
    numbers = torch.arange(len(batch.advantages))
    found = batch.segments.unsqueeze(0) == numbers.view(-1, 1, 1)  # [R, rows, length]
    rows = found.any(2).int().argmax(1)
    mine = found[numbers, rows].int()
    return rows, mine.argmax(1), mine.sum(1)
