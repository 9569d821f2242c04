"""The loop of reinforcement learning: roll out groups, weigh them, step; the specialists, mixed RL and Speciale."""

import copy
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from baleen.agent import Limits, Trajectory
from baleen.chat import Tokenizer
from baleen.config import EngineConfig, SamplingParams, UserError
from baleen.config.stages import RLStage
from baleen.engine import Engine
from baleen.environments import Task, environment_for
from baleen.model import Record, Transformer, can_pack, pack
from baleen.rl.advantage import group_advantages, penalised_rewards
from baleen.rl.exact import exact_log_probabilities, with_value
from baleen.rl.loss import Policies, grpo_loss
from baleen.rl.rollout import PackedRollouts, Rollout, World, collect, pack_rollouts, rollouts_of
from baleen.train.optim import Optimisers
from baleen.train.supervised import Surroundings, main_names, restore, save_if_due
from baleen.train.workers import clip_gradients

LIMITS = Limits(max_turns=8, max_length=2048)
PIECE = 4096  # tokens that one worker takes at a time: bounds the memory of a step


def train_rl(
    model: Transformer,
    tokenizer: Tokenizer,
    stage: RLStage,
    tasks: Callable[[int], Sequence[Task]],
    around: Surroundings,
    seed: int,
    world: World = environment_for,
) -> None:
    """Run a stage to its end, or from its newest checkpoint.

    `tasks(step)` gives the prompts of a step and is a pure function; the reference policy is `model` as it
    comes in. Rollouts are sampled with seeds of their own, so a resumed run repeats an uninterrupted one.
    Raises Interrupted after a checkpoint when `around.should_stop()` turns true.
    """
    if stage.deterministic and not can_pack():
        raise UserError("deterministic = true needs a C++ compiler; install one, as g++, or set it to false")
    reference = copy.deepcopy(model).requires_grad_(False) if stage.kl else None
    names = {name for name in main_names(model) if ".indexer." not in name}
    optimisers = Optimisers(model, names, 0.0, stage.adam_lr, stage.steps)
    start = restore(model, optimisers, around.checkpoints)
    around.resumed(start)
    learner = _Learner(model, reference, stage, optimisers, around)
    for step in range(start, stage.steps):
        began = time.perf_counter()
        groups = play_groups(model, tokenizer, stage, tasks(step), (seed, step), world)
        rollouts, scalars = weigh(groups, stage)
        sampled_in = time.perf_counter() - began
        scalars |= learner.learn(rollouts, step)
        seconds = time.perf_counter() - began
        scalars["sampled_tokens"] = sum(t.completion_tokens for g in groups for t in g)
        scalars["tokens_per_s"] = scalars["sampled_tokens"] / seconds
        scalars["sampling_share"] = sampled_in / seconds
        around.log(step, scalars)
        save_if_due(step + 1, stage.steps, stage.checkpoint_every, model, optimisers, around)


def play_groups(
    model: Transformer,
    tokenizer: Tokenizer,
    stage: RLStage,
    tasks: Sequence[Task],
    key: tuple[object, ...],
    world: World = environment_for,
) -> list[list[Trajectory]]:
    """`stage.group` trajectories of each task; the same key and weights give the same ones."""
    first = zlib.crc32(repr((stage.mode, *key)).encode()) << 20
    repeated = [task for task in tasks for _ in range(stage.group)]
    params = [
        SamplingParams(
            max_tokens=stage.max_tokens, temperature=stage.temperature, top_p=stage.top_p, seed=first + i
        )
        for i in range(len(repeated))
    ]
    config = EngineConfig(max_num_seqs=256, weights="float32", record_selection=stage.keep_selection)
    engine = Engine(model, config, tokenizer.eos_token_id)
    limits = replace(LIMITS, max_turns=stage.max_turns)
    played = collect(engine, tokenizer, repeated, params, stage.mode, limits, world)
    return [played[i : i + stage.group] for i in range(0, len(played), stage.group)]


def weigh(groups: Sequence[Sequence[Trajectory]], stage: RLStage) -> tuple[list[Rollout], dict[str, float]]:
    """Rollouts of the groups that teach something, and what the step's rollouts were like.

    A failure of infrastructure is no reward of zero: it leaves its group. Groups whose members did equally well
    have no advantage and are left out.
    """
    rollouts: list[Rollout] = []
    known = [[t for t in group if t.reward is not None] for group in groups]
    silent = 0
    for group in known:
        if not group:
            continue
        outcomes = np.array([t.reward or 0.0 for t in group])
        lengths = np.array([t.completion_tokens for t in group])
        advantages = group_advantages(penalised_rewards(outcomes, lengths, stage.length_penalty))
        if np.abs(advantages).max() < 1e-9:
            silent += 1
            continue
        for trajectory, advantage in zip(group, advantages, strict=True):
            rollouts += rollouts_of(trajectory, float(advantage))
    played = [t for group in known for t in group]
    if not played:
        return [], {}
    return rollouts, {
        "reward": float(np.mean([t.reward or 0.0 for t in played])),
        "think_tokens": float(np.mean([t.think_tokens for t in played])),
        "completion_tokens": float(np.mean([t.completion_tokens for t in played])),
        "tool_calls": float(np.mean([t.tool_calls for t in played])),
        "zero_advantage_groups": silent / len(groups),
    }


@dataclass
class _Learner:
    model: Transformer
    reference: Transformer | None
    stage: RLStage
    optimisers: Optimisers
    around: Surroundings

    def learn(self, rollouts: Sequence[Rollout], step: int) -> dict[str, float]:
        """`stage.updates` optimiser steps, each on its share of the rollouts. Returns their scalars."""
        if not rollouts:
            return {}
        shares = [rollouts[i :: self.stage.updates] for i in range(self.stage.updates)]
        kept = [self._update(share, step) for share in shares if share]
        # before the first update the trainer holds the engine's weights: what differs there is mismatch alone
        return {name: kept[0][name] for name in kept[0]} | {
            name: float(np.mean([scalars[name] for scalars in kept]))
            for name in ("kl", "clipped", "offpolicy_masked", "grad_norm")
            if name in kept[0]
        }

    def _update(self, rollouts: Sequence[Rollout], step: int) -> dict[str, float]:
        workers = self.around.workers
        vocab = self.model.config.vocab_size
        pieces = -(-sum(len(rollout.token_ids) for rollout in rollouts) // PIECE)
        count = min(max(workers.count, pieces), len(rollouts))
        parts = [pack_rollouts(rollouts[i::count], vocab) for i in range(count)]

        packed = pack(self.model, "float32") if self.stage.deterministic else None

        def loss_of(part: PackedRollouts) -> tuple[Tensor, dict[str, Tensor]]:
            loss, watched = self.loss(part, packed)
            return loss / len(rollouts), watched

        results = workers.gradients(loss_of, parts, self.optimisers.params)
        scalars = {
            name: float(torch.cat([watched[name] for watched in results]).mean()) for name in results[0]
        }
        scalars["grad_norm"] = clip_gradients(self.optimisers.params, self.stage.clip_norm)
        scalars["lr"] = self.optimisers.step(step)
        return scalars

    def loss(self, part: PackedRollouts, packed: Transformer | None) -> tuple[Tensor, dict[str, Tensor]]:
        """GRPO's loss summed over the rollouts of `part`, and what is worth watching, a value a rollout.

        `packed` is the same model for the engine's bits, where they are wanted.
        """
        stage = self.stage
        logits = sampled_logits(self.model, part, stage)
        new = log_probabilities(logits, part, stage)
        if packed is not None:
            new = with_value(new, exact_log_probabilities(packed, part, stage))
        reference = None
        with torch.no_grad():
            full = logits.log_softmax(-1)  # the entropy is of the uncut distribution
            entropy = -(full.exp() * full).sum(-1)
            if self.reference is not None:
                reference = log_probabilities(sampled_logits(self.reference, part, stage), part, stage)
        loss, watched = grpo_loss(
            Policies(new, part.old_logprobs, reference),
            part.sequence,
            part.advantages,
            clip=stage.clip,
            kl=stage.kl,
            delta=stage.mask_delta,
            unbiased=stage.unbiased_kl,
        )
        return loss, watched | {"entropy": entropy}


def sampled_logits(model: Transformer, part: PackedRollouts, stage: RLStage) -> Tensor:
    """Logits [N, V] that each sampled token is drawn from. Keep routing: the engine's experts are enforced."""
    record = Record(
        counted=part.segments >= 0,
        replay_experts=part.routed_experts if stage.keep_routing else None,
        replay_selected=part.selected if stage.keep_selection else None,
    )
    hidden = model.hidden_states(part.token_ids, model.metadata(part.token_ids, part.segments), record)
    return model.logits(hidden[part.rows, part.columns]) / stage.temperature


def log_probabilities(logits: Tensor, part: PackedRollouts, stage: RLStage) -> Tensor:
    """Log-probability [N] of each sampled token under `logits` [N, V], nats.

    Keep sampling mask: renormalised over what top-p had left, so that both policies choose among the same tokens.
    """
    if stage.keep_sampling_mask and part.kept is not None:
        logits = logits.masked_fill(~part.kept, -torch.inf)
    return logits.log_softmax(-1).gather(1, part.targets.unsqueeze(1)).squeeze(1)
