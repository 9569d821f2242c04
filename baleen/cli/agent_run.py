"""`baleen agent run TASKS.jsonl`: play tasks, every episode on the disk as it ends; the same command resumes."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import tyro

from baleen.agent import ContextManagement
from baleen.agent.cost import CostMeter
from baleen.agent.records import NAME, Episode
from baleen.agent.runner import Attempt, play_many
from baleen.cli.agent_policy import PlayOptions, Policy, require_positive
from baleen.cli.agent_tally import Tally
from baleen.cli.agent_tasks import assets_of, first_of, keep_tasks, unique
from baleen.cli.progress import Progress
from baleen.config import UsageError, UserError
from baleen.environments import Task, environment_for, read_tasks
from baleen.runs.clean_stop import CleanStop
from baleen.runs.jsonl import JsonlFile


@dataclass(frozen=True, kw_only=True)
class RunOptions(PlayOptions):
    """Play tasks with a policy and keep the trajectories. The same command resumes."""

    context: Literal["none", "summary", "discard-75", "discard-all"] = "none"
    """What to do when the window is nearly full."""

    window: int | None = None
    """The window in tokens, for --context; it is made free at 80 % of it."""


def main(argv: Sequence[str]) -> int:
    """Play what is left to play. Returns 0, 1 when any attempt failed through the infrastructure, 130 if stopped."""
    options = tyro.cli(RunOptions, args=list(argv), prog="baleen agent run")
    _check(options)
    tasks = unique(first_of(read_tasks(options.tasks), options.first))
    if not tasks:
        raise UserError(f"{options.tasks} holds no task")
    assets = assets_of(options.assets, options.tasks)
    policy = Policy(options, assets)
    with JsonlFile(options.out, NAME, _settings(options)) as file:
        keep_tasks(options.out, tasks, assets)
        return _run(options, tasks, assets, policy, file)


def _check(options: RunOptions) -> None:
    options.check()
    require_positive("window", options.window)
    if (options.context == "none") != (options.window is None):
        raise UsageError(
            "--context and --window go together: how to make room, and in a window of how many tokens"
        )


def _settings(options: RunOptions) -> dict[str, Any]:
    """What decides how an episode goes. How many, how fast and for how much money may change on resuming."""
    names = ("policy", "max_turns", "max_length", "max_tokens", "max_seconds", "max_dollars", "temperature")
    names += ("seed", "thinking", "context", "window")
    return options.settings() | {name: getattr(options, name) for name in names}


def _run(
    options: RunOptions, tasks: Sequence[Task], assets: Path | None, policy: Policy, file: JsonlFile
) -> int:
    wanted = [Attempt(task, number) for task in tasks for number in range(options.attempts)]
    tally = Tally([attempt.key for attempt in wanted])
    for row in file.rows():
        tally.add(row)
    left = [attempt for attempt in wanted if not tally.is_done(attempt.key)]
    stop = CleanStop()
    with Progress(["agent"]) as progress:
        progress.start_stage("agent", len(wanted))

        def told(episode: Episode) -> None:
            row = episode.to_row()
            file.append(row)
            tally.add(row)
            progress.update(tally.settled, **tally.numbers())

        playing = play_many(
            left,
            policy.player_for,
            partial(environment_for, assets=assets),
            policy.limits,
            options.concurrency,
            told,
            _management(options),
            lambda: stop.heard or policy.meter.refused,
            policy.name,
        )
        with stop:
            try:
                asyncio.run(playing)
            finally:
                note = f"{tally.settled} of {len(wanted)} episodes played"
                progress.finish_stage(tally.settled == len(wanted), note)
        for line in (*tally.summary(), *_ending(options, stop.heard, policy.meter)):
            progress.message(line)
    return stop.exit_code if stop.heard else int(tally.settled < len(wanted))


def _ending(options: RunOptions, stopped: bool, meter: CostMeter) -> Iterator[str]:
    from baleen.report.trajectories import write_page

    if meter.calls:
        yield f"  {meter}"
    if meter.refused:
        yield f"  the budget is spent; the same command with a higher --max-cost than {meter.max_dollars:g} goes on"
    yield f"wrote {options.out / NAME} and {write_page(options.out)}" + (
        "; stopped early: the same command goes on" if stopped else ""
    )


def _management(options: RunOptions) -> ContextManagement | None:
    if options.context == "none" or options.window is None:
        return None
    return ContextManagement(options.context, options.window)
