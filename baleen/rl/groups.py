"""Groups of rollouts: one task played several times, and what the members' rewards teach."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from baleen.agent import TrainingSample, Trajectory
from baleen.config import SamplingParams
from baleen.config.stages import RLStage
from baleen.environments import Task
from baleen.rl.advantage import group_advantages, penalized_rewards
from baleen.rl.sampler import RolloutSampler

MAX_REFILLS = 2


@dataclass(frozen=True)
class Groups:
    """`group_size` trajectories of each task. failures: how often the infrastructure failed, refilled or not."""

    trajectories: list[list[Trajectory]]
    failures: int

    @property
    def played(self) -> list[Trajectory]:
        """All that have a reward."""
        return [t for group in self.trajectories for t in group if t.reward is not None]


def sample_groups(
    sampler: RolloutSampler, stage: RLStage, tasks: Sequence[Task], key: tuple[object, ...]
) -> Groups:
    """Play each task `stage.group_size` times; the same key and weights give the same trajectories.

    A rollout that the infrastructure failed is played again with another seed, at most `MAX_REFILLS` times.
    """
    first = zlib.crc32(repr((stage.mode, *key)).encode()) << 20
    repeated = [task for task in tasks for _ in range(stage.group_size)]

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
        return sampler.sample([repeated[i] for i in members], params)

    played = play(range(len(repeated)), 0)
    failures = 0
    for attempt in range(1, MAX_REFILLS + 1):
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
class ScoredGroups:
    """What a step learns from.

    Attributes:
        samples: those whose loss can differ from 0.
        count: number of samples that the loss is averaged over, those left out included.
        metrics: what the rollouts were like.
    """

    samples: list[TrainingSample]
    count: int
    metrics: dict[str, float]


def score_groups(groups: Groups, stage: RLStage) -> ScoredGroups:
    """Turn trajectories into samples with advantages.

    An infrastructure failure is not a reward of zero: the trajectory leaves its group. A silent group, whose members
    did equally well, has no advantage: its loss is its KL alone, so without a KL its samples are left out. They still
    count in the mean, unless `stage.average_over` is "informative".
    """
    samples: list[TrainingSample] = []
    count = silent = 0
    for group in groups.trajectories:
        known = [t for t in group if t.reward is not None]
        if not known:
            continue
        outcomes = np.array([t.reward or 0.0 for t in known])
        lengths = np.array([t.completion_tokens for t in known])
        advantages = group_advantages(penalized_rewards(outcomes, lengths, stage.length_penalty))
        made = [
            sample
            for trajectory, advantage in zip(known, advantages, strict=True)
            for sample in trajectory.samples(float(advantage))
        ]
        is_silent = np.abs(advantages).max() < 1e-9
        silent += is_silent
        if not is_silent or stage.average_over == "all":
            count += len(made)
        if not is_silent or (stage.average_over == "all" and stage.kl):
            samples += made
    return ScoredGroups(samples, count, _metrics(groups, silent))


def _metrics(groups: Groups, silent: int) -> dict[str, float]:
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
