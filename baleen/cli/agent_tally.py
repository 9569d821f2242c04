"""What a run of `baleen agent` came to so far: how many episodes are settled, their rewards, outcomes, dollars."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from baleen.agent.records import is_settled
from baleen.agent.trajectory import StopReason
from baleen.evaluation.intervals import wilson_mean

Key = tuple[str, int]


@dataclass(frozen=True)
class _Score:
    reason: str
    error: str
    reward: float | None
    dollars: float
    is_settled: bool


class Tally:
    """Scores of the attempts `wanted`, (task id, number) each; others are left out."""

    def __init__(self, wanted: Collection[Key]) -> None:
        self.wanted = frozenset(wanted)
        self._scores: dict[Key, _Score] = {}
        self._rewarded = self._settled = 0
        self._reward = self._dollars = 0.0

    def add(self, row: Mapping[str, Any]) -> None:
        """A row of the trajectories; it replaces an earlier one of the same attempt."""
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
        self._settled += sign * score.is_settled
        self._rewarded += sign * (score.reward is not None)
        self._reward += sign * (score.reward or 0.0)
        self._dollars += sign * score.dollars

    @property
    def settled(self) -> int:
        return self._settled

    def is_done(self, key: Key) -> bool:
        return key in self._scores and self._scores[key].is_settled

    def numbers(self) -> dict[str, float]:
        """For the line of progress."""
        numbers = {"reward": self._reward / self._rewarded} if self._rewarded else {}
        failed = len(self._scores) - self._settled
        numbers |= {"failed": float(failed)} if failed else {}
        return numbers | ({"dollars": self._dollars} if self._dollars else {})

    def summary(self) -> Iterator[str]:
        """Lines for the end of a run. The task is the unit of the interval, however often it was played."""
        rewards: dict[str, list[float]] = {}
        for (task, _), score in self._scores.items():
            if score.reward is not None:
                rewards.setdefault(task, []).append(score.reward)
        if rewards:
            interval = wilson_mean([sum(values) / len(values) for values in rewards.values()])
            yield (
                f"  reward {interval.estimate:.3f} (95 % {interval.low:.3f} to {interval.high:.3f}): "
                f"{self._rewarded} episodes of {len(rewards)} tasks, solved at least once "
                f"{sum(max(values) >= 1.0 for values in rewards.values())}"
            )
        reasons = Counter(score.reason for score in self._scores.values())
        yield "  outcomes: " + (
            ", ".join(f"{count} {reason}" for reason, count in sorted(reasons.items())) or "none"
        )
        truncated = sum(count for reason, count in reasons.items() if StopReason(reason).is_truncation)
        if truncated:
            yield f"  {truncated} of {len(self._scores)} episodes were cut short by a limit, with reward 0"
        errors = Counter(score.error for score in self._scores.values() if not score.is_settled)
        if errors:
            (error, _), *_ = errors.most_common(1)
            yield f"  {errors.total()} failed through no fault of the policy, most often: {error[:300]}"
