"""`baleen agent run TASKS`: play tasks and keep every episode as it ends; the same command resumes."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import tyro

from baleen.agent import ContextManagement
from baleen.agent.cost import CostMeter
from baleen.agent.records import NAME, Episode
from baleen.agent.run_tasks import keep_tasks
from baleen.agent.runner import Attempt
from baleen.cli.agent_policy import PlayOptions, Policy
from baleen.cli.options import require_positive
from baleen.cli.progress import Progress
from baleen.config import UsageError
from baleen.evaluation.tally import Tally
from baleen.runs.clean_stop import CleanStop
from baleen.runs.jsonl import JsonlFile


@dataclass(frozen=True, kw_only=True)
class RunOptions(PlayOptions):
    """Play tasks with a policy and keep the trajectories. The same command resumes."""

    context: Literal["none", "summary", "discard-75", "discard-all"] = "none"
    """What to do when the window is nearly full."""

    window: int | None = None
    """The window in tokens, for --context; room is made when 80 % of it is full."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen agent run`. Returns 0, 1 if the infrastructure failed an attempt, or 130 or 143 if stopped."""
    options = tyro.cli(RunOptions, args=list(argv), prog="baleen agent run")
    options.check()
    require_positive(options, "window")
    if (options.context == "none") != (options.window is None):
        raise UsageError(
            "--context and --window go together: how to make room, and in a window of how many tokens"
        )
    tasks, assets = options.read_tasks()
    policy = Policy(options, assets)
    settings = options.settings() | {"context": options.context, "window": options.window}
    with JsonlFile(options.out, NAME, settings) as file:
        keep_tasks(options.out, tasks, assets)
        attempts = [Attempt(task, number) for task in tasks for number in range(options.attempts)]
        return _run(options, attempts, policy, file)


def _run(options: RunOptions, attempts: Sequence[Attempt], policy: Policy, file: JsonlFile) -> int:
    tally = Tally([attempt.key for attempt in attempts])
    for row in file.rows():
        tally.add(row)
    left = [attempt for attempt in attempts if not tally.is_settled(attempt.key)]
    stop = CleanStop()
    with Progress(["agent"]) as progress:
        progress.start_stage("agent", len(attempts))

        def keep(episode: Episode) -> None:
            row = episode.to_row()
            file.append(row)
            tally.add(row)
            progress.update(tally.settled, **tally.metrics())

        with stop:
            try:
                asyncio.run(policy.play(left, policy.limits, _management(options), keep, stop))
            finally:
                note = f"{tally.settled} of {len(attempts)} episodes played"
                progress.finish_stage(tally.settled == len(attempts), note)
        for line in (*_summary(tally), *_ending(options, stop.heard, policy.meter)):
            progress.message(line)
    return stop.exit_code if stop.heard else int(tally.settled < len(attempts))


def _management(options: RunOptions) -> ContextManagement | None:
    if options.context == "none" or options.window is None:
        return None
    return ContextManagement(options.context, options.window)


def _summary(tally: Tally) -> Iterator[str]:
    if rewards := tally.rewards():
        reward = tally.reward()
        yield (
            f"  reward {reward.estimate:.3f} (95 % {reward.low:.3f} to {reward.high:.3f}): {tally.rewarded} episodes "
            f"of {len(rewards)} tasks, solved at least once {tally.solved_tasks()}"
        )
    outcomes = (f"{count} {reason}" for reason, count in sorted(tally.outcomes().items()))
    yield f"  outcomes: {', '.join(outcomes) or 'none'}"
    if truncated := tally.truncated():
        yield f"  {truncated} of {len(tally)} episodes were cut short by a limit, with reward 0"
    if errors := tally.errors():
        (error, _), *_ = errors.most_common(1)
        yield f"  {errors.total()} failed through no fault of the policy, most often: {error[:300]}"


def _ending(options: RunOptions, stopped: bool, meter: CostMeter) -> Iterator[str]:
    from baleen.report.trajectories import write_page

    if meter.calls:
        yield f"  {meter}"
    if meter.refused:
        yield f"  the budget is spent; the same command with a higher --max-cost than {meter.max_dollars:g} goes on"
    early = "; stopped early: the same command goes on" if stopped else ""
    yield f"wrote {options.out / NAME} and {write_page(options.out)}{early}"
