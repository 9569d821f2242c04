"""`baleen eval TASKS.jsonl --strategy ...`: what to do with a full window, in accuracy against steps and tokens."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import tyro

from baleen.agent import ContextManagement, Limits
from baleen.agent.records import Episode
from baleen.agent.runner import Attempt, play_many
from baleen.cli.agent_policy import PlayOptions, Policy, require_positive
from baleen.cli.agent_tasks import assets_of, first_of, keep_tasks, unique
from baleen.cli.progress import Progress
from baleen.config import UsageError, UserError
from baleen.environments import Task, environment_for, read_tasks
from baleen.evaluation import context_strategies
from baleen.evaluation.context_strategies import Branch, Outcome
from baleen.report.context_strategies import accuracy_over_steps
from baleen.report.theme import standalone
from baleen.runs.clean_stop import CleanStop
from baleen.runs.files import write_atomic
from baleen.runs.jsonl import JsonlFile

Strategy = Literal["none", "summary", "discard-75", "discard-all", "fewest-step"]
OUTCOMES, RESULTS, PLOT = "outcomes.jsonl", "results.jsonl", "accuracy.svg"


@dataclass(frozen=True, kw_only=True)
class EvalOptions(PlayOptions):
    """Play tasks under one or more strategies for a full window and compare them. The same command resumes."""

    strategy: tuple[Strategy, ...] = ("none", "summary", "discard-75", "discard-all", "fewest-step")
    """What to do when the window is nearly full; fewest-step plays several trajectories at once instead."""

    window: int | None = None
    """The window, in tokens: a longer prompt ends an episode. The context of a model folder if not given."""

    trigger: float = 0.8
    """Share of the window that a prompt may fill before room is made."""

    reasoning: Literal["discard", "keep"] = "discard"
    """What becomes of the thinking in discarded turns."""

    share_of: Literal["calls", "tokens"] = "calls"
    """Of what discard-75 takes 75 %."""

    fires: Literal["once", "repeatedly"] = "repeatedly"
    """How often room is made in an episode."""

    count_summary: bool = True
    """Whether writing a summary counts as a step."""

    parallel: int = 4
    """Trajectories of fewest-step for each attempt."""


def main(argv: Sequence[str]) -> int:
    """Play what is left, print the table. Returns 0, 1 where the infrastructure failed, 130 if stopped."""
    options = tyro.cli(EvalOptions, args=list(argv), prog="baleen eval")
    options.check()
    for name in ("window", "trigger", "parallel"):
        require_positive(name, getattr(options, name))
    tasks = unique(first_of(read_tasks(options.tasks), options.first))
    if not tasks:
        raise UserError(f"{options.tasks} holds no task")
    assets = assets_of(options.assets, options.tasks)
    policy = Policy(options, assets)
    longest = policy.limits.max_length
    window = min(options.window or longest, longest)
    managements = {name: _management(options, name, window) for name in dict.fromkeys(options.strategy)}
    with JsonlFile(options.out, OUTCOMES, _settings(options)) as file:
        keep_tasks(options.out, tasks, assets)
        run = _Run(options, tasks, assets, policy, replace(policy.limits, max_length=window), file)
        # One event loop for all: an engine serves the loop that first asked it.
        with run.stop:
            asyncio.run(run.play_all(managements))
    rows = [
        context_strategies.row(name, _described(options, name, management, window), run.outcomes(name))
        for name, management in managements.items()
        if any(outcome.is_valid for outcome in run.outcomes(name))
    ]
    write_atomic(options.out / RESULTS, "".join(json.dumps(row) + "\n" for row in rows))
    if rows:
        write_atomic(
            options.out / PLOT,
            standalone(accuracy_over_steps(rows), f"{policy.name}: context strategies") + "\n",
        )
    for line in (*_table(rows, run.outcomes), *_ending(options, run, policy)):
        print(line)
    return run.stop.exit_code if run.stop.heard else int(not run.is_complete)


def _management(options: EvalOptions, strategy: Strategy, window: int) -> ContextManagement | None:
    """Raises UsageError."""
    if strategy in ("none", "fewest-step"):
        return None
    try:
        return ContextManagement(
            strategy,
            window,
            options.trigger,
            options.reasoning,
            options.share_of,
            options.fires,
            options.count_summary,
        )
    except ValueError as error:
        raise UsageError(str(error)) from error


def _described(
    options: EvalOptions, strategy: Strategy, management: ContextManagement | None, window: int
) -> str:
    """Every choice in words, for the row of a result."""
    if management is not None:
        return management.describe()
    many = (
        f"{options.parallel} trajectories, the one of the fewest steps counts; each "
        if strategy != "none"
        else ""
    )
    return f"{many}ends at {window:,} tokens"


def _settings(options: EvalOptions) -> dict[str, Any]:
    names = ("policy", "max_turns", "max_length", "max_tokens", "max_seconds", "max_dollars", "temperature")
    names += (
        "seed",
        "thinking",
        "window",
        "trigger",
        "reasoning",
        "share_of",
        "fires",
        "count_summary",
        "parallel",
    )
    return options.settings() | {name: getattr(options, name) for name in names}


class _Run:
    """Episodes played and still to play, strategy by strategy."""

    def __init__(
        self,
        options: EvalOptions,
        tasks: Sequence[Task],
        assets: Path | None,
        policy: Policy,
        limits: Limits,
        file: JsonlFile,
    ) -> None:
        self.stop = CleanStop()
        self._options = options
        self._tasks = tasks
        self._assets = assets
        self._policy = policy
        self._limits = limits
        self._file = file
        self._branches: dict[str, dict[tuple[str, int], Branch]] = {name: {} for name in options.strategy}
        for row in file.rows():
            if row["strategy"] in self._branches:
                self._branches[row["strategy"]][row["task"], row["number"]] = Branch(**row["branch"])

    def together(self, strategy: str) -> int:
        """Trajectories of an attempt."""
        return self._options.parallel if strategy == "fewest-step" else 1

    def outcomes(self, strategy: str) -> list[Outcome]:
        """Of the tasks and attempts that are asked for now; a resumed run may hold more."""
        wanted = {attempt.key for attempt in self._wanted(strategy)}
        own = {key: branch for key, branch in self._branches[strategy].items() if key in wanted}
        return context_strategies.gather(own, self.together(strategy))

    @property
    def is_complete(self) -> bool:
        return not any(self._left(strategy) for strategy in self._branches)

    def _wanted(self, strategy: str) -> list[Attempt]:
        count = self._options.attempts * self.together(strategy)
        return [Attempt(task, number) for task in self._tasks for number in range(count)]

    def _left(self, strategy: str) -> list[Attempt]:
        settled = {key for key, branch in self._branches[strategy].items() if branch.is_valid}
        return [attempt for attempt in self._wanted(strategy) if attempt.key not in settled]

    async def play_all(self, managements: Mapping[Strategy, ContextManagement | None]) -> None:
        """Play what is left, strategy by strategy; nothing more once the run was stopped or its money is spent."""
        for strategy, management in managements.items():
            if not self._is_over():
                await self._play(strategy, management)

    def _is_over(self) -> bool:
        return self.stop.heard or self._policy.meter.refused

    async def _play(self, strategy: Strategy, management: ContextManagement | None) -> None:
        own, left = self._branches[strategy], self._left(strategy)
        with Progress([strategy]) as progress:
            progress.start_stage(strategy, len(left))
            done = 0

            def told(episode: Episode) -> None:
                nonlocal done
                branch = Branch.of(episode.trajectory)
                task, number = episode.key
                row = {"strategy": strategy, "task": task, "number": number, "branch": asdict(branch)}
                self._file.append(row)
                own[task, number] = branch
                done += 1
                progress.update(done, solved=sum(b.solved for b in own.values()) / len(own))

            await play_many(
                left,
                self._policy.player_for,
                partial(environment_for, assets=self._assets),
                self._limits,
                self._options.concurrency,
                told,
                management,
                self._is_over,
                self._policy.name,
            )
            progress.finish_stage(done == len(left), f"{done} of {len(left)} trajectories played")


def _table(rows: Sequence[Mapping[str, Any]], outcomes: Callable[[str], Sequence[Outcome]]) -> Iterator[str]:
    """The rows for a terminal, each with what it gained over the first."""
    yield (
        f"{'strategy':<12} {'accuracy':>8} {'95 % interval':>15} {'items x k':>10} {'steps':>7} {'p95':>6} "
        f"{'tokens in':>10} {'out':>7} {'made room':>9} {'cut off':>8} {'failed':>6}"
    )
    for row in rows:
        k = row["attempts"] / row["items"] if row["items"] else 0
        cut = row["stop_reasons"].get("max_tokens", 0) / max(1, sum(row["stop_reasons"].values()))
        yield (
            f"{row['strategy']:<12} {row['accuracy']:>8.1%} {row['low']:>7.1%} – {row['high']:<5.1%} "
            f"{row['items']:>6} x {k:<.3g} {row['steps']:>7.1f} {row['steps_p95']:>6.0f} "
            f"{row['prompt_tokens']:>10,.0f} {row['completion_tokens']:>7,.0f} {row['num_fired']:>9.1f} {cut:>8.0%} "
            f"{row['infrastructure_failures']:>6}"
        )
    for row in rows:
        yield f"  {row['strategy']}: {row['context']}"
    for row in rows[1:]:
        first = rows[0]["strategy"]
        gain = context_strategies.rise(outcomes(row["strategy"]), outcomes(first))
        yield f"  {row['strategy']} over {first}: {gain.estimate:+.1%} ({gain.low:+.1%} to {gain.high:+.1%}), paired"


def _ending(options: EvalOptions, run: _Run, policy: Policy) -> Iterator[str]:
    if policy.meter.calls:
        yield f"  {policy.meter}"
    wrote = f"wrote {options.out / RESULTS} and {options.out / PLOT}"
    yield wrote if run.is_complete else f"{wrote}; not all was played: the same command goes on"
