"""What strategies for a full window achieve at test time: accuracy against the real steps and tokens they take.

An item is a task. Each attempt at it is one trajectory or, for parallel-fewest-step, several: the one with the fewest
steps counts, and all are paid for. Failures of the infrastructure are counted separately and nowhere else.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from baleen.agent import StopReason, Trajectory
from baleen.evaluation.intervals import Interval, bootstrap_mean, newcombe_paired, wilson


@dataclass(frozen=True)
class Branch:
    """One trajectory, in the numbers that are compared."""

    solved: bool
    stop_reason: str
    steps: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    think_tokens: int
    tool_calls: int
    num_fired: int
    dollars: float
    seconds: float

    @classmethod
    def of(cls, played: Trajectory) -> "Branch":
        """The numbers of a trajectory."""
        usage = played.usage
        return cls(
            solved=played.reward is not None and played.reward >= 1.0,
            stop_reason=str(played.stop_reason),
            steps=played.steps,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            completion_tokens=usage.completion_tokens,
            think_tokens=played.think_tokens,
            tool_calls=played.tool_calls,
            num_fired=played.num_fired,
            dollars=usage.dollars,
            seconds=played.seconds,
        )

    @property
    def is_valid(self) -> bool:
        return not StopReason(self.stop_reason).is_failure_of_infrastructure


@dataclass(frozen=True)
class Outcome:
    """An attempt at a task.

    Attributes:
        task: id of the task.
        attempt: number of the attempt.
        branches: its trajectories.
    """

    task: str
    attempt: int
    branches: tuple[Branch, ...]

    @property
    def is_valid(self) -> bool:
        return all(branch.is_valid for branch in self.branches)

    @property
    def solved(self) -> bool:
        """Whether the trajectory that counts solved the task."""
        return chosen(self.branches).solved

    def total(self, name: str) -> float:
        """The sum of a number over the trajectories."""
        return sum(getattr(branch, name) for branch in self.branches)


def chosen(branches: Sequence[Branch]) -> Branch:
    """The trajectory that counts, as `baleen.agent.fewest_steps` chooses it."""
    finished = [branch for branch in branches if branch.stop_reason == StopReason.FINISHED]
    return min(finished or branches[:1], key=lambda branch: branch.steps)


def accuracy(outcomes: Sequence[Outcome]) -> Interval:
    """Share of the attempts that solved their task.

    With one attempt per item a score interval; with more, a bootstrap over the items' means.
    """
    items = _items(outcomes)
    if all(len(values) == 1 for values in items.values()):
        return wilson(sum(values[0] for values in items.values()), len(items))
    return bootstrap_mean([sum(values) / len(values) for values in items.values()])


def rise(outcomes: Sequence[Outcome], before: Sequence[Outcome]) -> Interval:
    """How much more was solved than in `before`, paired over the items that both attempted."""
    now, then = _items(outcomes), _items(before)
    shared = [task for task in now if task in then]
    if all(len(now[task]) == len(then[task]) == 1 for task in shared):
        return newcombe_paired([now[task][0] for task in shared], [then[task][0] for task in shared])
    return bootstrap_mean([_mean(now[task]) - _mean(then[task]) for task in shared])


def row(strategy: str, description: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """One row of the results.

    Args:
        strategy: its name.
        description: its choices in words.
        outcomes: its attempts, those that the infrastructure failed included.

    Returns:
        Accuracy with its 95 % interval; means per attempt of steps, tokens, calls, dollars and seconds, with the 95 %
        quantiles `steps_p95` and `completion_tokens_p95`; the stop reasons; the curve of `curve`.
    """
    valid = [outcome for outcome in outcomes if outcome.is_valid]
    share = accuracy(valid)
    branches = [branch for outcome in valid for branch in outcome.branches]
    numbers = (
        "prompt_tokens",
        "cached_tokens",
        "completion_tokens",
        "think_tokens",
        "tool_calls",
        "num_fired",
    )
    reasons = Counter(branch.stop_reason for outcome in outcomes for branch in outcome.branches)
    return {
        "strategy": strategy,
        "context": description,
        "items": len({outcome.task for outcome in valid}),
        "attempts": len(valid),
        "branches": len(branches),
        "accuracy": share.estimate,
        "low": share.low,
        "high": share.high,
        "steps": _mean([outcome.total("steps") for outcome in valid]),
        "steps_p95": _p95([outcome.total("steps") for outcome in valid]),
        "completion_tokens_p95": _p95([outcome.total("completion_tokens") for outcome in valid]),
        **{
            name: _mean([outcome.total(name) for outcome in valid])
            for name in (*numbers, "dollars", "seconds")
        },
        "stop_reasons": dict(sorted(reasons.items())),
        "infrastructure_failures": len(outcomes) - len(valid),
        "curve": curve(valid),
    }


def truncated_share(result: Mapping[str, Any]) -> float:
    """Share of a row's trajectories that the end of the window cut off."""
    reasons = result["stop_reasons"]
    return reasons.get(StopReason.MAX_TOKENS, 0) / max(1, sum(reasons.values()))


def curve(outcomes: Sequence[Outcome]) -> list[tuple[float, float]]:
    """Accuracy as the budget of steps grows.

    Returns:
        Pairs (steps, accuracy). With one trajectory per attempt, the share that was solved within so many steps; with
        several, the mean steps and the accuracy of taking only the first one, two, ... of them.
    """
    if not outcomes:
        return []
    most = max(len(outcome.branches) for outcome in outcomes)
    if most > 1:
        return [_of_first(outcomes, count) for count in range(1, most + 1)]
    n = len(outcomes)
    solved = sorted(outcome.total("steps") for outcome in outcomes if outcome.solved)
    last = max(outcome.total("steps") for outcome in outcomes)
    points = [(0.0, 0.0)] + [(float(steps), (i + 1) / n) for i, steps in enumerate(solved)]
    return [*points, (float(last), len(solved) / n)]


def _of_first(outcomes: Sequence[Outcome], count: int) -> tuple[float, float]:
    fewer = [outcome.branches[:count] for outcome in outcomes]
    steps = _mean([sum(branch.steps for branch in branches) for branches in fewer])
    return steps, _mean([chosen(branches).solved for branches in fewer])


def gather(branches: Mapping[tuple[str, int], Branch], together: int) -> list[Outcome]:
    """Group trajectories into attempts; incomplete attempts are left out.

    Args:
        branches: by task and number.
        together: how many consecutive numbers make an attempt.
    """
    outcomes = []
    for task, number in sorted(branches):
        if number % together == 0:
            own = [branches.get((task, number + i)) for i in range(together)]
            if all(own):
                outcomes.append(Outcome(task, number // together, tuple(filter(None, own))))
    return outcomes


def _items(outcomes: Iterable[Outcome]) -> dict[str, list[bool]]:
    items: dict[str, list[bool]] = {}
    for outcome in outcomes:
        if outcome.is_valid:
            items.setdefault(outcome.task, []).append(outcome.solved)
    return items


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _p95(values: Sequence[float]) -> float:
    return float(np.quantile(values, 0.95)) if values else math.nan
