"""`baleen eval TASKS --strategy ...`: compare context strategies by accuracy, steps and tokens."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import tyro

from baleen.agent import ContextManagement, Limits
from baleen.agent.records import Episode
from baleen.agent.run_tasks import keep_tasks
from baleen.cli.agent_policy import PlayOptions, Policy
from baleen.cli.options import require_positive
from baleen.cli.progress import Progress
from baleen.config import UsageError
from baleen.evaluation.context_strategies import truncated_share
from baleen.evaluation.strategy_run import OUTCOMES, RESULTS, StrategyRun, describe
from baleen.report.context_strategies import accuracy_over_steps
from baleen.report.theme import standalone
from baleen.runs.clean_stop import CleanStop
from baleen.runs.files import write_atomic
from baleen.runs.jsonl import JsonlFile

Strategy = Literal["none", "summary", "discard-75", "discard-all", "fewest-step"]
PLOT = "accuracy.svg"


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
    """Whether discard-75 discards 75 % of the calls or of the tokens."""

    fires: Literal["once", "repeatedly"] = "repeatedly"
    """How often room is made in an episode."""

    count_summary: bool = True
    """Whether writing a summary counts as a step."""

    parallel: int = 4
    """Trajectories of fewest-step for each attempt."""

    def settings(self) -> dict[str, Any]:
        names = ("window", "trigger", "reasoning", "share_of", "fires", "count_summary", "parallel")
        return super().settings() | {name: getattr(self, name) for name in names}


def main(argv: Sequence[str]) -> int:
    """Run `baleen eval`. Returns 0, 1 if the infrastructure failed an attempt, or 130 or 143 if stopped."""
    options = tyro.cli(EvalOptions, args=list(argv), prog="baleen eval")
    options.check()
    require_positive(options, "window", "trigger", "parallel")
    tasks, assets = options.read_tasks()
    policy = Policy(options, assets)
    longest = policy.limits.max_length
    window = min(options.window or longest, longest)
    managements = {name: _management(options, name, window) for name in dict.fromkeys(options.strategy)}
    stop = CleanStop()
    with JsonlFile(options.out, OUTCOMES, options.settings()) as file:
        keep_tasks(options.out, tasks, assets)
        run = StrategyRun(file, tasks, managements, options.attempts, options.parallel)
        # One event loop for all strategies: an engine serves the loop that asked it first.
        with stop:
            asyncio.run(_play_all(run, policy, replace(policy.limits, max_length=window), managements, stop))
    rows = run.write_results(
        {name: describe(name, managements[name], options.parallel, window) for name in managements}
    )
    if rows:
        figure = standalone(accuracy_over_steps(rows), f"{policy.name}: context strategies")
        write_atomic(options.out / PLOT, figure + "\n")
    for line in (*_table(rows, run), *_ending(options, run, policy)):
        print(line)
    return stop.exit_code if stop.heard else int(not run.is_complete)


def _management(options: EvalOptions, strategy: Strategy, window: int) -> ContextManagement | None:
    """Raises UsageError."""
    if strategy in ("none", "fewest-step"):
        return None
    choices = (options.trigger, options.reasoning, options.share_of, options.fires, options.count_summary)
    try:
        return ContextManagement(strategy, window, *choices)
    except ValueError as error:
        raise UsageError(str(error)) from error


async def _play_all(
    run: StrategyRun,
    policy: Policy,
    limits: Limits,
    managements: Mapping[Strategy, ContextManagement | None],
    stop: CleanStop,
) -> None:
    """Play what is left, strategy by strategy; nothing more once the run was stopped or its budget is spent."""
    for strategy, management in managements.items():
        if not stop.heard and not policy.meter.refused:
            await _play(run, policy, limits, strategy, management, stop)


async def _play(
    run: StrategyRun,
    policy: Policy,
    limits: Limits,
    strategy: Strategy,
    management: ContextManagement | None,
    stop: CleanStop,
) -> None:
    left = run.left(strategy)
    done = 0
    with Progress([strategy]) as progress:
        progress.start_stage(strategy, len(left))

        def keep(episode: Episode) -> None:
            nonlocal done
            run.add(strategy, episode)
            done += 1
            progress.update(done, solved=run.solved_share(strategy))

        await policy.play(left, limits, management, keep, stop)
        progress.finish_stage(done == len(left), f"{done} of {len(left)} trajectories played")


def _table(rows: Sequence[Mapping[str, Any]], run: StrategyRun) -> Iterator[str]:
    """The rows for a terminal, and what each strategy gained over the first."""
    yield (
        f"{'strategy':<12} {'accuracy':>8} {'95 % interval':>15} {'items x k':>10} {'steps':>7} {'p95':>6} "
        f"{'tokens in':>10} {'out':>7} {'made room':>9} {'cut off':>8} {'failed':>6}"
    )
    for row in rows:
        yield (
            f"{row['strategy']:<12} {row['accuracy']:>8.1%} {row['low']:>7.1%} – {row['high']:<5.1%} "
            f"{row['items']:>6} x {row['attempts'] / row['items']:<.3g} {row['steps']:>7.1f} {row['steps_p95']:>6.0f} "
            f"{row['prompt_tokens']:>10,.0f} {row['completion_tokens']:>7,.0f} {row['num_fired']:>9.1f} "
            f"{truncated_share(row):>8.0%} {row['infrastructure_failures']:>6}"
        )
    for row in rows:
        yield f"  {row['strategy']}: {row['context']}"
    for strategy, first, gain in run.rises([row["strategy"] for row in rows]):
        yield f"  {strategy} over {first}: {gain.estimate:+.1%} ({gain.low:+.1%} to {gain.high:+.1%}), paired"


def _ending(options: EvalOptions, run: StrategyRun, policy: Policy) -> Iterator[str]:
    if policy.meter.calls:
        yield f"  {policy.meter}"
    unfinished = "" if run.is_complete else "; not all was played: the same command goes on"
    yield f"wrote {options.out / RESULTS} and {options.out / PLOT}{unfinished}"
