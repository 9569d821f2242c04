"""Training samples as a batch: packed into rows, with what a replay needs beside each token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from baleen.agent import Replay, TrainingSample

Part = TypeVar("Part")


@dataclass(frozen=True)
class RolloutBatch:
    """R samples in rows [B, S], and, flat over their N sampled tokens, what the loss needs.

    Attributes:
        token_ids: [B, S].
        segments: [B, S] number of the sample that each token belongs to, -1 for padding.
        experts: [B, S, n_moe_layers, k] to replay, or None.
        selected: [B, S, n_layers, index_topk] to replay, by column of the row, or None.
        rows, columns: [N] where the hidden state stands that predicts each sampled token.
        rollout_logprobs: [N] under the policy that sampled, nats.
        sequence: [N] number of the sample that each sampled token belongs to.
        advantages: [R].
        sampling_mask: [N, V] True where the token could have been sampled, or None.
    """

    token_ids: Tensor
    segments: Tensor
    experts: Tensor | None
    selected: Tensor | None
    rows: Tensor
    columns: Tensor
    rollout_logprobs: Tensor
    sequence: Tensor
    advantages: Tensor
    sampling_mask: Tensor | None

    @property
    def targets(self) -> Tensor:
        """[N] the sampled tokens."""
        return self.token_ids[self.rows, self.columns + 1]


def collate(samples: Sequence[TrainingSample], vocab_size: int, least_length: int = 128) -> RolloutBatch:
    """Rows as long as the longest sample, each filled with the longest samples that still fit."""
    places, shape = _places([len(sample.token_ids) for sample in samples], least_length)
    token_ids = np.zeros(shape, np.int64)
    segments = np.full(shape, -1, np.int64)
    rows, columns, logprobs = [], [], []
    for i, (sample, (row, start)) in enumerate(zip(samples, places, strict=True)):
        end = start + len(sample.token_ids)
        token_ids[row, start:end] = sample.token_ids
        segments[row, start:end] = i
        sampled = np.flatnonzero(sample.loss_mask)
        rows.append(np.full(len(sampled), row))
        columns.append(start + sampled - 1)
        logprobs.append(np.asarray(sample.logprobs, np.float32)[sampled])
    return RolloutBatch(
        torch.from_numpy(token_ids),
        torch.from_numpy(segments),
        _experts(samples, places, shape),
        _selected(samples, places, shape),
        torch.from_numpy(np.concatenate(rows)),
        torch.from_numpy(np.concatenate(columns)),
        torch.from_numpy(np.concatenate(logprobs)),
        torch.from_numpy(np.repeat(np.arange(len(samples)), [len(part) for part in rows])),
        torch.tensor([sample.advantage for sample in samples], dtype=torch.float32),
        _sampling_mask(samples, vocab_size),
    )


def _places(sizes: Sequence[int], least_length: int) -> tuple[list[tuple[int, int]], tuple[int, int]]:
    """Row and first column of each sample, and the shape [B, S] of the rows."""
    order = sorted(range(len(sizes)), key=lambda i: -sizes[i])
    length = max(least_length, sizes[order[0]])
    places = [(0, 0)] * len(sizes)
    filled: list[int] = []
    for i in order:
        row = next((row for row, used in enumerate(filled) if used + sizes[i] <= length), len(filled))
        if row == len(filled):
            filled.append(0)
        places[i] = (row, filled[row])
        filled[row] += sizes[i]
    return places, (len(filled), length)


def _recorded(samples: Sequence[TrainingSample], part: Callable[[Replay], Part | None]) -> list[Part] | None:
    """`part` of each sample's replay; None unless all samples have it."""
    parts = [part(sample.replay) for sample in samples if sample.replay is not None]
    found = [one for one in parts if one is not None]
    return found if len(found) == len(samples) else None


def _experts(
    samples: Sequence[TrainingSample], places: Sequence[tuple[int, int]], shape: tuple[int, int]
) -> Tensor | None:
    recorded = _recorded(samples, lambda replay: replay.experts)
    if recorded is None:
        return None
    experts = np.zeros((*shape, *recorded[0].shape[1:]), np.int64)
    for mine, (row, start) in zip(recorded, places, strict=True):
        experts[row, start : start + len(mine)] = mine
    return torch.from_numpy(experts)


def _selected(
    samples: Sequence[TrainingSample], places: Sequence[tuple[int, int]], shape: tuple[int, int]
) -> Tensor | None:
    """Recorded positions, shifted to the samples' columns; a token without a record reads itself."""
    recorded = _recorded(samples, lambda replay: replay.selected)
    if recorded is None:
        return None
    selected = np.full((*shape, *recorded[0].shape[1:]), -1, np.int64)
    selected[..., 0] = np.arange(shape[1])[:, None]
    for mine, (row, start) in zip(recorded, places, strict=True):
        selected[row, start : start + len(mine)] = np.where(mine >= 0, mine + start, -1)
    return torch.from_numpy(selected)


def _sampling_mask(samples: Sequence[TrainingSample], vocab_size: int) -> Tensor | None:
    recorded = _recorded(samples, lambda replay: replay.sampling_mask)
    if recorded is None:
        return None
    sizes = np.concatenate([np.diff(offsets) for _, offsets in recorded])
    allowed = np.zeros((len(sizes), vocab_size), bool)
    allowed[np.repeat(np.arange(len(sizes)), sizes), np.concatenate([ids for ids, _ in recorded])] = True
    return torch.from_numpy(allowed)
