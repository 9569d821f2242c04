"""A resumable comparison of context strategies."""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from baleen.agent import ContextManagement
from baleen.agent.records import Episode
from baleen.agent.runner import Attempt
from baleen.environments import Task
from baleen.evaluation.context_strategies import Branch, Outcome, gather, rise, row
from baleen.evaluation.intervals import Interval
from baleen.runs.files import write_atomic
from baleen.runs.jsonl import JsonlFile

FEWEST_STEP = "fewest-step"
OUTCOMES, RESULTS = "outcomes.jsonl", "results.jsonl"


class StrategyRun:
    """The trajectories of each strategy, stored in `file` as they finish.

    Args:
        file: the run's `outcomes.jsonl`; what it holds counts as played.
        tasks: the tasks that each strategy attempts.
        strategies: names of the strategies, in the order in which they are compared.
        attempts: attempts of each strategy at each task.
        parallel: trajectories in one attempt of `fewest-step`; the other strategies have one.
    """

    def __init__(
        self,
        file: JsonlFile,
        tasks: Sequence[Task],
        strategies: Collection[str],
        attempts: int,
        parallel: int,
    ) -> None:
        self._file = file
        self._tasks = tasks
        self._attempts = attempts
        self._parallel = parallel
        self._branches: dict[str, dict[tuple[str, int], Branch]] = {name: {} for name in strategies}
        for kept in file.rows():
            if kept["strategy"] in self._branches:
                self._branches[kept["strategy"]][kept["task"], kept["number"]] = Branch(**kept["branch"])

    def add(self, strategy: str, episode: Episode) -> None:
        """Store a finished trajectory. Once this returns, it survives a power failure."""
        task, number = episode.key
        branch = Branch.of(episode.trajectory)
        self._file.append({"strategy": strategy, "task": task, "number": number, "branch": asdict(branch)})
        self._branches[strategy][task, number] = branch

    def left(self, strategy: str) -> list[Attempt]:
        """The trajectories still to play, including those that the infrastructure failed."""
        settled = {key for key, branch in self._branches[strategy].items() if branch.is_valid}
        return [attempt for attempt in self._wanted(strategy) if attempt.key not in settled]

    @property
    def is_complete(self) -> bool:
        return not any(self.left(strategy) for strategy in self._branches)

    def solved_share(self, strategy: str) -> float:
        """Share of the finished trajectories that solved their task. There must be at least one."""
        branches = self._branches[strategy].values()
        return sum(branch.solved for branch in branches) / len(branches)

    def outcomes(self, strategy: str) -> list[Outcome]:
        """The requested attempts; a resumed run may hold others."""
        wanted = {attempt.key for attempt in self._wanted(strategy)}
        own = {key: branch for key, branch in self._branches[strategy].items() if key in wanted}
        return gather(own, self._together(strategy))

    def write_results(self, descriptions: Mapping[str, str]) -> list[dict[str, Any]]:
        """Write `results.jsonl`, a row for each strategy that has results, and return the rows.

        descriptions: of each strategy, see `describe`.
        """
        found = {strategy: self.outcomes(strategy) for strategy in self._branches}
        rows = [
            row(strategy, descriptions[strategy], outcomes)
            for strategy, outcomes in found.items()
            if any(outcome.is_valid for outcome in outcomes)
        ]
        write_atomic(self._file.folder / RESULTS, "".join(json.dumps(each) + "\n" for each in rows))
        return rows

    def rises(self, strategies: Sequence[str]) -> Iterator[tuple[str, str, Interval]]:
        """Each later strategy, the first one, and how much more the later one solved, paired by task."""
        for strategy in strategies[1:]:
            first = strategies[0]
            yield strategy, first, rise(self.outcomes(strategy), self.outcomes(first))

    def _wanted(self, strategy: str) -> list[Attempt]:
        count = self._attempts * self._together(strategy)
        return [Attempt(task, number) for task in self._tasks for number in range(count)]

    def _together(self, strategy: str) -> int:
        """Trajectories in one attempt."""
        return self._parallel if strategy == FEWEST_STEP else 1


def describe(strategy: str, management: ContextManagement | None, parallel: int, window: int) -> str:
    """Describe a strategy for its row of the results. window: in tokens."""
    if management is not None:
        return management.describe()
    many = f"{parallel} trajectories, the one of the fewest steps counts; each "
    return f"{many if strategy == FEWEST_STEP else ''}ends at {window:,} tokens"
