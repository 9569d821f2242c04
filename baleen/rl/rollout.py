"""Rollouts as training data: played in groups, kept with all that a replay needs, packed into rows."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baleen.agent import EnginePolicy, Limits, Trajectory, rollout_all
from baleen.chat import Tokenizer
from baleen.config import SamplingParams
from baleen.engine import AsyncEngine, Engine
from baleen.environments import Environment, Task, environment_for

World = Callable[[Task], Environment]
"""Where a task is played."""


@dataclass(frozen=True)
class Rollout:
    """One sequence to learn from, exactly as it was sampled (nothing is ever encoded again).

    token_ids, loss_mask, logprobs: [S], as in `agent.Chain`. routed_experts: int16 [S - 1, n_moe_layers, k].
    selected: int32 [S - 1, n_layers, index_topk] positions that each token read, -1 behind the last, or None.
    kept: ids that each sampled token could have been, None where all of the vocabulary. advantage: of the whole
    sequence.
    """

    token_ids: Sequence[int]
    loss_mask: Sequence[bool]
    logprobs: Sequence[float]
    routed_experts: NDArray[np.int16]
    selected: NDArray[np.int32] | None
    kept: list[NDArray[np.int32]] | None
    advantage: float


@dataclass(frozen=True)
class PackedRollouts:
    """Rollouts in rows [B, S], and, flat over their N sampled tokens, what the loss needs.

    routed_experts: [B, S, n_moe_layers, k]. selected: [B, S, n_layers, index_topk] by column of the row, or None.
    rows, columns: [N] where the hidden state stands that predicts each token. old_logprobs: [N] of the engine.
    sequence: [N] number of the rollout; advantages: [R], one a rollout. kept: [N, V] True where the token could
    have been sampled, or None.
    """

    token_ids: Tensor
    segments: Tensor
    routed_experts: Tensor
    selected: Tensor | None
    rows: Tensor
    columns: Tensor
    old_logprobs: Tensor
    sequence: Tensor
    advantages: Tensor
    kept: Tensor | None

    @property
    def targets(self) -> Tensor:
        """[N] the sampled tokens."""
        return self.token_ids[self.rows, self.columns + 1]


def collect(
    engine: Engine,
    tokenizer: Tokenizer,
    tasks: Sequence[Task],
    params: Sequence[SamplingParams],
    thinking_mode: str,
    limits: Limits,
    world: World = environment_for,
) -> list[Trajectory]:
    """Play each task once, all together; `params` one each. The same arguments give the same trajectories."""

    async def play() -> list[Trajectory]:
        policy = EnginePolicy(AsyncEngine(engine), tokenizer)
        worlds = [world(task) for task in tasks]
        return await rollout_all(policy, tokenizer, worlds, thinking_mode, params, limits)

    return asyncio.run(play())


def rollouts_of(trajectory: Trajectory, advantage: float) -> list[Rollout]:
    """The trajectory's chains, with what the engine recorded while it sampled them."""
    found = []
    for chain in trajectory.chains():
        results: list[Any] = [turn.completion.extra for turn in chain.turns]
        cut = [result.kept for result in results]
        kept = None
        if all(sets is not None for sets in cut):
            kept = [part for sets in cut for part in np.split(sets.token_ids, sets.offsets[1:-1])]
        found.append(
            Rollout(
                chain.token_ids,
                chain.loss_mask,
                chain.logprobs,
                results[-1].routed_experts,
                results[-1].selected,
                kept,
                advantage,
            )
        )
    return found


def pack_rollouts(rollouts: Sequence[Rollout], vocab_size: int, least_length: int = 128) -> PackedRollouts:
    """Rows as long as the longest rollout, each filled with the longest that still fit."""
    order = sorted(range(len(rollouts)), key=lambda i: -len(rollouts[i].token_ids))
    length = max(least_length, len(rollouts[order[0]].token_ids))
    places: dict[int, tuple[int, int]] = {}
    filled: list[int] = []
    for i in order:
        size = len(rollouts[i].token_ids)
        row = next((row for row, used in enumerate(filled) if used + size <= length), len(filled))
        if row == len(filled):
            filled.append(0)
        places[i] = (row, filled[row])
        filled[row] += size
    shape = (len(filled), length)
    token_ids = np.zeros(shape, np.int64)
    segments = np.full(shape, -1, np.int64)
    routed = np.zeros((*shape, *rollouts[0].routed_experts.shape[1:]), np.int64)
    rows, columns, old = [], [], []
    for i, rollout in enumerate(rollouts):
        row, start = places[i]
        size = len(rollout.token_ids)
        token_ids[row, start : start + size] = rollout.token_ids
        segments[row, start : start + size] = i
        routed[row, start : start + size - 1] = rollout.routed_experts
        sampled = np.flatnonzero(rollout.loss_mask)
        rows.append(np.full(len(sampled), row))
        columns.append(start + sampled - 1)
        old.append(np.asarray(rollout.logprobs, np.float32)[sampled])
    return PackedRollouts(
        torch.from_numpy(token_ids),
        torch.from_numpy(segments),
        torch.from_numpy(routed),
        _selected(rollouts, places, shape),
        torch.from_numpy(np.concatenate(rows)),
        torch.from_numpy(np.concatenate(columns)),
        torch.from_numpy(np.concatenate(old)),
        torch.from_numpy(np.repeat(np.arange(len(rollouts)), [len(part) for part in rows])),
        torch.tensor([rollout.advantage for rollout in rollouts], dtype=torch.float32),
        _kept_mask(rollouts, vocab_size),
    )


def _selected(
    rollouts: Sequence[Rollout], places: dict[int, tuple[int, int]], shape: tuple[int, int]
) -> Tensor | None:
    """Recorded positions moved to where the rollouts stand; a token without a record reads itself."""
    recorded = [rollout.selected for rollout in rollouts if rollout.selected is not None]
    if len(recorded) < len(rollouts):
        return None
    selected = np.full((*shape, *recorded[0].shape[1:]), -1, np.int64)
    selected[..., 0] = np.arange(shape[1])[:, None]
    for i, read in enumerate(recorded):
        row, start = places[i]
        selected[row, start : start + len(read)] = np.where(read >= 0, read + start, -1)
    return torch.from_numpy(selected)


def _kept_mask(rollouts: Sequence[Rollout], vocab_size: int) -> Tensor | None:
    if any(rollout.kept is None for rollout in rollouts):
        return None
    sets = [ids for rollout in rollouts for ids in rollout.kept or ()]
    mask = np.zeros((len(sets), vocab_size), bool)
    mask[np.repeat(np.arange(len(sets)), [len(ids) for ids in sets]), np.concatenate(sets)] = True
    return torch.from_numpy(mask)
