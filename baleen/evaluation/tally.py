"""Running totals of a run: settled attempts, rewards, outcomes, dollars."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from baleen.agent.records import is_settled
from baleen.agent.trajectory import StopReason
from baleen.evaluation.intervals import Interval, wilson_mean

Key = tuple[str, int]


@dataclass(frozen=True)
class _Score:
    reason: str
    error: str
    reward: float | None
    dollars: float
    is_settled: bool


class Tally:
    """Counts the attempts in `wanted`, given as (task id, number), and ignores all others.

    Sums are updated with each row, so that a progress line after every episode is cheap.
    """

    def __init__(self, wanted: Collection[Key]) -> None:
        self.wanted = frozenset(wanted)
        self.settled = 0
        self.rewarded = 0
        """Number of episodes with a reward."""
        self._scores: dict[Key, _Score] = {}
        self._reward = self._dollars = 0.0

    def add(self, row: Mapping[str, Any]) -> None:
        """Count a row of `trajectories.jsonl`; it replaces an earlier one of the same attempt."""
        key = (row["task"], row["attempt"])
        if key not in self.wanted:
            return
        if key in self._scores:
            self._count(self._scores[key], -1)
        dollars = row["usage"]["dollars"]
        score = _Score(row["stop_reason"], row["error"], row["reward"], dollars, is_settled(row))
        self._scores[key] = score
        self._count(score, 1)

    def _count(self, score: _Score, sign: int) -> None:
        self.settled += sign * score.is_settled
        self.rewarded += sign * (score.reward is not None)
        self._reward += sign * (score.reward or 0.0)
        self._dollars += sign * score.dollars

    def __len__(self) -> int:
        """Number of attempts played, settled or not."""
        return len(self._scores)

    def is_settled(self, key: Key) -> bool:
        """Whether the attempt was played without an infrastructure failure."""
        return key in self._scores and self._scores[key].is_settled

    def metrics(self) -> dict[str, float]:
        """Mean reward, infrastructure failures and dollars so far, without those that are unknown or zero."""
        metrics = {"reward": self._reward / self.rewarded} if self.rewarded else {}
        failed = len(self) - self.settled
        metrics |= {"failed": float(failed)} if failed else {}
        return metrics | ({"dollars": self._dollars} if self._dollars else {})

    def rewards(self) -> dict[str, list[float]]:
        """The rewards of each task that has any."""
        rewards: dict[str, list[float]] = {}
        for (task, _), score in self._scores.items():
            if score.reward is not None:
                rewards.setdefault(task, []).append(score.reward)
        return rewards

    def reward(self) -> Interval:
        """Mean reward over tasks. Each task counts once, however often it was played; there must be at least one."""
        return wilson_mean([sum(values) / len(values) for values in self.rewards().values()])

    def solved_tasks(self) -> int:
        """Tasks that were solved at least once."""
        return sum(max(values) >= 1.0 for values in self.rewards().values())

    def outcomes(self) -> Counter[str]:
        """How often each stop reason occurred."""
        return Counter(score.reason for score in self._scores.values())

    def truncated(self) -> int:
        """Episodes that a limit cut short."""
        return sum(count for reason, count in self.outcomes().items() if StopReason(reason).is_truncation)

    def errors(self) -> Counter[str]:
        """How often each infrastructure failure occurred."""
        return Counter(score.error for score in self._scores.values() if not score.is_settled)
