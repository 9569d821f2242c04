"""`baleen agent run TASKS.jsonl`: play tasks, every episode on the disk as it ends; the same command resumes."""

import asyncio
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from baleen.agent import ChatPlayer, ContextManagement, Limits, Player, ScriptedModel, TokenPlayer
from baleen.agent.cost import CostMeter
from baleen.agent.records import NAME, Episode
from baleen.agent.runner import Attempt, play_many
from baleen.cli.agent_tally import Tally
from baleen.cli.agent_tasks import assets_of, keep_tasks, unique
from baleen.cli.clean_stop import CleanStop
from baleen.cli.loading import ComputeOptions
from baleen.cli.model_options import ModelOptions
from baleen.cli.progress import Progress
from baleen.config import SamplingParams, UsageError, UserError
from baleen.config.line_file import LineFile
from baleen.environments import Task, TaskError, environment_for, scripted_solution
from baleen.synthesis import read_tasks

SCRIPTED = "scripted"


@dataclass(frozen=True, kw_only=True)
class RunOptions(ModelOptions, ComputeOptions):
    """Play tasks with a policy and keep the trajectories. The same command resumes."""

    tasks: Annotated[Path, tyro.conf.Positional]
    """Tasks, one a line, as `baleen synth` writes them."""

    out: Path
    """Folder of the run."""

    policy: str | None = None
    """A model folder, the folder of a finished run, or "scripted" for the tasks' own solutions. Else --base-url."""

    assets: Path | None = None
    """What the tasks need to be played; the folder `assets` beside TASKS if not given."""

    attempts: int = 1
    """How often each task is played."""

    first: int | None = None
    """Play only so many tasks, the first of the file."""

    concurrency: int = 4
    """Episodes at a time."""

    max_turns: int = 50
    """Answers in an episode."""

    max_length: int | None = None
    """Longest prompt, in tokens; 128K, or what the model's context leaves."""

    max_tokens: int | None = None
    """Tokens of all answers of an episode together."""

    max_seconds: float | None = None
    """Time of an episode."""

    max_dollars: float | None = None
    """Cost of an episode; --max-cost caps the whole run."""

    temperature: float | None = None
    """Of sampling; 1.0 for a model folder, the server's own else."""

    seed: int = 0
    """Of sampling; each attempt at each task derives its own."""

    thinking: bool = True
    """Whether a model folder thinks before it answers; a server decides for itself."""

    context: Literal["none", "summary", "discard-75", "discard-all"] = "none"
    """What to do when the window is nearly full."""

    window: int | None = None
    """The window in tokens, for --context; it is made free at 80 % of it."""


def main(argv: Sequence[str]) -> int:
    """Play what is left to play. Returns 0, 1 when any attempt failed through the infrastructure, 130 if stopped."""
    options = tyro.cli(RunOptions, args=list(argv), prog="baleen agent run")
    _check(options)
    tasks = unique(read_tasks(options.tasks)[: options.first])
    if not tasks:
        raise UserError(f"{options.tasks} holds no task")
    assets = assets_of(options.assets, options.tasks)
    policy = _Policy(options, assets)
    with LineFile(options.out, NAME, _settings(options)) as file:
        keep_tasks(options.out, tasks, assets)
        return _run(options, tasks, assets, policy, file)


def _check(options: RunOptions) -> None:
    if (options.policy is None) == (options.base_url is None):
        raise UsageError("give either --policy (a model folder, or scripted) or --base-url with --model")
    names = (
        "attempts",
        "first",
        "concurrency",
        "max_turns",
        "max_length",
        "max_tokens",
        "max_seconds",
        "window",
    )
    for name in names:
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be above 0")
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
    options: RunOptions, tasks: Sequence[Task], assets: Path | None, policy: "_Policy", file: LineFile
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
    return 130 if stop.heard else int(tally.settled < len(wanted))


def _ending(options: RunOptions, stopped: bool, meter: CostMeter) -> Iterator[str]:
    from baleen.evaluation.trajectories import write_page

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


class _Policy:
    """Whoever plays: name for the records, a player for each attempt, the limits it allows, what it spends."""

    def __init__(self, options: RunOptions, assets: Path | None) -> None:
        self._options = options
        self._assets = assets
        self._endpoint = options.open()
        self._loaded = None
        self.meter = self._endpoint.meter if self._endpoint else CostMeter()
        longest = options.max_length or 131_072
        if self._endpoint is not None:
            self.name = self._endpoint.name
        elif options.policy == SCRIPTED:
            self.name = SCRIPTED
        else:
            from baleen.cli.loading import load
            from baleen.engine import AsyncEngine

            assert options.policy is not None
            self._loaded = load(Path(options.policy), options.concurrency, None, options)
            self._engine = AsyncEngine(self._loaded.engine, in_thread=True)
            self.name = self._loaded.name
            longest = min(longest, self._loaded.max_model_len)
        self.limits = Limits(
            options.max_turns, longest, options.max_tokens, options.max_seconds, options.max_dollars
        )

    def player_for(self, attempt: Attempt) -> Player:
        """Raises UserError for a task without a script."""
        options = self._options
        # Not the place in the file: an attempt samples the same whichever others are played.
        seed = zlib.crc32(f"{options.seed} {attempt.number} {attempt.task.id}".encode())
        if self._endpoint is not None:
            return ChatPlayer(self._endpoint, options.max_answer_tokens, options.temperature, seed)
        if self._loaded is None:
            try:
                return ChatPlayer(ScriptedModel(scripted_solution(attempt.task, self._assets)))
            except TaskError as error:
                raise UserError(f"--policy scripted: {error}") from error
        from baleen.agent import EnginePolicy

        temperature = 1.0 if options.temperature is None else options.temperature
        params = SamplingParams(max_tokens=options.max_answer_tokens, temperature=temperature, seed=seed)
        tokenizer = self._loaded.tokenizer
        mode = "thinking" if options.thinking else "chat"
        return TokenPlayer(EnginePolicy(self._engine, tokenizer), tokenizer, mode, params)
