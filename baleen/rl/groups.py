"""Groups of rollouts: one task played several times, and what the members' rewards teach."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from baleen.agent import Limits, Trajectory
from baleen.chat import Tokenizer
from baleen.config import EngineConfig, SamplingParams
from baleen.config.stages import RLStage
from baleen.engine import Engine
from baleen.environments import Task, environment_for
from baleen.model import Transformer
from baleen.rl.advantage import group_advantages, penalised_rewards
from baleen.rl.rollout import Rollout, World, collect, rollouts_of

LIMITS = Limits(max_turns=8, max_length=2048)
REFILLS = 2  # times that rollouts are played again which the infrastructure failed


@dataclass(frozen=True)
class Groups:
    """`group` trajectories of each task. failures: how often the infrastructure failed, refilled or not."""

    trajectories: list[list[Trajectory]]
    failures: int

    @property
    def played(self) -> list[Trajectory]:
        """All that have a reward."""
        return [t for group in self.trajectories for t in group if t.reward is not None]


def play_groups(
    model: Transformer,
    tokenizer: Tokenizer,
    stage: RLStage,
    tasks: Sequence[Task],
    key: tuple[object, ...],
    world: World = environment_for,
) -> Groups:
    """Play each task `stage.group_size` times; the same key and weights give the same trajectories.

    A rollout that the infrastructure failed is played again with another seed, at most `REFILLS` times.
    """
    first = zlib.crc32(repr((stage.mode, *key)).encode()) << 20
    repeated = [task for task in tasks for _ in range(stage.group_size)]
    config = EngineConfig(max_num_seqs=256, record_selection=stage.keep_selection)
    engine = Engine(model, config, tokenizer.eos_token_id)
    limits = replace(LIMITS, max_turns=stage.max_turns)

    def play(members: Sequence[int], attempt: int) -> list[Trajectory]:
        params = [
            SamplingParams(
                max_tokens=stage.max_tokens,
                temperature=stage.temperature,
                top_p=stage.top_p,
                seed=first + attempt * len(repeated) + i,
            )
            for i in members
        ]
        asked = [repeated[i] for i in members]
        return collect(engine, tokenizer, asked, params, stage.mode, limits, world)

    played = play(range(len(repeated)), 0)
    failures = 0
    for attempt in range(1, REFILLS + 1):
        failed = [i for i, trajectory in enumerate(played) if trajectory.reward is None]
        failures += len(failed)
        if not failed:
            break
        for i, trajectory in zip(failed, play(failed, attempt), strict=True):
            played[i] = trajectory
    return Groups(
        [played[i : i + stage.group_size] for i in range(0, len(played), stage.group_size)], failures
    )


@dataclass(frozen=True)
class Weighed:
    """What a step learns from. count: sequences that the loss is averaged over, those left out included."""

    rollouts: list[Rollout]
    count: int
    scalars: dict[str, float]


def weigh(groups: Groups, stage: RLStage) -> Weighed:
    """Rollouts with their advantages, and what the step's rollouts were like.

    A failure of infrastructure is no reward of zero: it leaves its group. A silent group, whose members did equally
    well, has no advantage: its loss is its KL alone, so without a KL its rollouts are left out. They still count in
    the mean, unless `stage.average_over` is "informative".
    """
    rollouts: list[Rollout] = []
    count = silent = 0
    for group in groups.trajectories:
        known = [t for t in group if t.reward is not None]
        if not known:
            continue
        outcomes = np.array([t.reward or 0.0 for t in known])
        lengths = np.array([t.completion_tokens for t in known])
        advantages = group_advantages(penalised_rewards(outcomes, lengths, stage.length_penalty))
        made = [
            rollout
            for trajectory, advantage in zip(known, advantages, strict=True)
            for rollout in rollouts_of(trajectory, float(advantage))
        ]
        is_silent = np.abs(advantages).max() < 1e-9
        silent += is_silent
        if not is_silent or stage.average_over == "all":
            count += len(made)
        if not is_silent or (stage.average_over == "all" and stage.kl):
            rollouts += made
    return Weighed(rollouts, count, _scalars(groups, silent))


def _scalars(groups: Groups, silent: int) -> dict[str, float]:
    played, total = groups.played, sum(map(len, groups.trajectories))
    if not played:
        return {"infrastructure_failures": groups.failures / total, "sampled_tokens": 0.0}
    return {
        "reward": float(np.mean([t.reward or 0.0 for t in played])),
        "think_tokens": float(np.mean([t.think_tokens for t in played])),
        "completion_tokens": float(np.mean([t.completion_tokens for t in played])),
        "tool_calls": float(np.mean([t.tool_calls for t in played])),
        "zero_advantage_groups": silent / len(groups.trajectories),
        "cut_answers": sum(t.is_truncated for t in played) / len(played),
        "infrastructure_failures": groups.failures / total,
        "sampled_tokens": float(sum(t.completion_tokens for t in played)),
    }
