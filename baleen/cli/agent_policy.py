"""The policy that `baleen agent run` and `baleen eval` play with, and its options."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from baleen.agent import ChatPlayer, ContextManagement, Limits, Player, TokenPlayer
from baleen.agent.cost import CostMeter
from baleen.agent.records import Episode
from baleen.agent.run_tasks import assets_of, tasks_to_play
from baleen.agent.runner import Attempt, play_many
from baleen.agent.searcher import Searcher
from baleen.cli.loading import ComputeOptions
from baleen.cli.model_options import ModelOptions
from baleen.cli.options import require_positive
from baleen.config import SamplingParams, UsageError
from baleen.environments import Task, environment_for
from baleen.evaluation.attempts import attempt_seed
from baleen.runs.clean_stop import CleanStop
from baleen.synthesis.scripted import scripted_model

SCRIPTED, SEARCHER = "scripted", "searcher"


@dataclass(frozen=True, kw_only=True)
class PlayOptions(ModelOptions, ComputeOptions):
    """Which tasks are played, by whom, how often, and within which limits."""

    tasks: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TASKS")]
    """File of tasks, one per line, as `baleen synth` writes it."""

    out: Path
    """Folder of the run."""

    policy: str | None = None
    """A model folder, the folder of a finished run, "scripted" for the tasks' own solutions, or "searcher" for a script
    that plays hunts and knows only what its window shows. For a model behind an address give --base-url instead."""

    assets: Path | None = None
    """Folder of the tasks' assets; the folder `assets` beside TASKS if not given."""

    attempts: int = 1
    """How many times to play each task."""

    first: Annotated[int | None, tyro.conf.arg(aliases=["--limit"])] = None
    """Play only this many tasks, the first ones of each family in turn."""

    concurrency: Annotated[int, tyro.conf.arg(aliases=["--batch-size"])] = 4
    """Episodes at a time."""

    max_turns: int = 50
    """Most answers in an episode."""

    max_length: int | None = None
    """Longest prompt, in tokens; 128K, or what the model's context leaves, if not given."""

    max_tokens: int | None = None
    """Most tokens in all answers of an episode together."""

    max_seconds: float | None = None
    """Longest time of an episode."""

    max_dollars: float | None = None
    """Highest cost of an episode; --max-cost caps the whole run."""

    temperature: float | None = None
    """Sampling temperature; 1.0 for a model folder and the server's own default otherwise, if not given."""

    seed: int = 0
    """Random seed of sampling; each attempt at each task derives its own from it."""

    thinking: bool = True
    """Whether the model of a model folder thinks before it answers; a server decides for itself."""

    def check(self) -> None:
        """Raises UsageError for options that do not go together or are out of range."""
        if (self.policy is None) == (self.base_url is None):
            raise UsageError("give either --policy (a model folder, or scripted) or --base-url with --model")
        names = ("attempts", "first", "concurrency", "max_turns", "max_length", "max_tokens", "max_seconds")
        require_positive(self, *names)

    def read_tasks(self) -> tuple[Sequence[Task], Path | None]:
        """The tasks to play, and the folder of their assets if there is one. Raises UserError."""
        return tasks_to_play(self.tasks, self.first), assets_of(self.tasks, self.assets)

    def settings(self) -> dict[str, Any]:
        """Settings that affect an episode. Number, concurrency and budget may change when a run is resumed."""
        names = ("policy", "max_turns", "max_length", "max_tokens", "max_seconds", "max_dollars")
        names += ("temperature", "seed", "thinking")
        return super().settings() | {name: getattr(self, name) for name in names}


class Policy:
    """The policy: its name, a player for each attempt, the limits of an episode, and what was spent."""

    def __init__(self, options: PlayOptions, assets: Path | None) -> None:
        self._options = options
        self._assets = assets
        self._endpoint = options.open()
        self._loaded = None
        self.meter = self._endpoint.meter if self._endpoint else CostMeter()
        longest = options.max_length or 131_072
        if self._endpoint is not None:
            self.name = self._endpoint.name
        elif options.policy in (SCRIPTED, SEARCHER):
            self.name = options.policy
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

    async def play(
        self,
        attempts: Sequence[Attempt],
        limits: Limits,
        management: ContextManagement | None,
        on_episode: Callable[[Episode], None],
        stop: CleanStop,
    ) -> None:
        """Play the attempts until all are done, the budget is spent or the user stops. Raises UserError."""
        await play_many(
            attempts,
            self._player_for,
            partial(environment_for, assets=self._assets),
            limits,
            self._options.concurrency,
            on_episode,
            management,
            lambda: stop.heard or self.meter.refused,
            self.name,
        )

    def _player_for(self, attempt: Attempt) -> Player:
        """Raises UserError for a task without a script."""
        options = self._options
        seed = attempt_seed(options.seed, attempt.task.id, attempt.number)
        if self._endpoint is not None:
            return ChatPlayer(self._endpoint, options.max_answer_tokens, options.temperature, seed)
        if options.policy == SEARCHER:
            return ChatPlayer(Searcher(seed))
        if self._loaded is None:
            return ChatPlayer(scripted_model(attempt, self._assets, seed))
        from baleen.agent import EnginePolicy

        temperature = 1.0 if options.temperature is None else options.temperature
        params = SamplingParams(max_tokens=options.max_answer_tokens, temperature=temperature, seed=seed)
        tokenizer = self._loaded.tokenizer
        mode = "thinking" if options.thinking else "chat"
        return TokenPlayer(EnginePolicy(self._engine, tokenizer), tokenizer, mode, params)
