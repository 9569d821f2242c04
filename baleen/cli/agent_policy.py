"""Who plays the tasks of `baleen agent run` and `baleen eval`: the options that say so, and players made from them."""

import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from baleen.agent import ChatPlayer, Limits, Player, TokenPlayer
from baleen.agent.cost import CostMeter
from baleen.agent.runner import Attempt
from baleen.agent.searcher import Searcher
from baleen.cli.loading import ComputeOptions
from baleen.cli.model_options import ModelOptions
from baleen.cli.scripted import scripted_model
from baleen.config import SamplingParams, UsageError

SCRIPTED, SEARCHER = "scripted", "searcher"


@dataclass(frozen=True, kw_only=True)
class PlayOptions(ModelOptions, ComputeOptions):
    """Which tasks are played, by whom, how often, and within which limits."""

    tasks: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="TASKS")]
    """Tasks, one a line, as `baleen synth` writes them."""

    out: Path
    """Folder of the run."""

    policy: str | None = None
    """A model folder, the folder of a finished run, "scripted" for the tasks' own solutions, or "searcher" for a script
    that plays hunts and knows only what its window shows. Else --base-url."""

    assets: Path | None = None
    """What the tasks need to be played; the folder `assets` beside TASKS if not given."""

    attempts: int = 1
    """How often each task is played."""

    first: Annotated[int | None, tyro.conf.arg(aliases=["--limit"])] = None
    """Play only so many tasks, the first ones of each family in turn."""

    concurrency: Annotated[int, tyro.conf.arg(aliases=["--batch-size"])] = 4
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

    def check(self) -> None:
        """Raises UsageError for options that cannot be."""
        if (self.policy is None) == (self.base_url is None):
            raise UsageError("give either --policy (a model folder, or scripted) or --base-url with --model")
        names = ("attempts", "first", "concurrency", "max_turns", "max_length", "max_tokens", "max_seconds")
        for name in names:
            require_positive(name, getattr(self, name))


def require_positive(name: str, value: float | None) -> None:
    """Raises UsageError."""
    if value is not None and value <= 0:
        raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be above 0")


class Policy:
    """Whoever plays: name for the records, a player for each attempt, the limits it allows, what it spends."""

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

    def player_for(self, attempt: Attempt) -> Player:
        """Raises UserError for a task without a script."""
        options = self._options
        # Not the place in the file: an attempt samples the same whichever others are played.
        seed = zlib.crc32(f"{options.seed} {attempt.number} {attempt.task.id}".encode())
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
