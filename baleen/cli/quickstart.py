"""`baleen quickstart`: from nothing to a model that reasons and calls tools, through every stage of V3.2."""

import signal
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from baleen.config.errors import UsageError
from baleen.evaluation.run_data import STAGES

if TYPE_CHECKING:
    from baleen.config.stages import Recipe
    from baleen.data import Corpus

# Shares of the whole time, for the estimate of what is left.
_WEIGHTS = {"pretrain": 38, "dsa_sparse": 10, "sft": 8, "mixed": 10, "dsa_warmup": 3}


@dataclass(frozen=True)
class Options:
    """Train a tiny DeepSeek-V3.2 through every stage and report on it. The same command resumes."""

    out: Path = Path("runs/quickstart")
    """Folder of the run."""
    smoke: bool = False
    """A few steps of each stage: checks that everything works, learns next to nothing."""
    seed: int = 0
    threads: int = 2
    """Workers, one core each."""
    text: Path | None = None
    """File or folder of text to train on besides the standard library of this Python."""
    recipe: Path = Path("tiny")
    """A .toml file, or the name of a recipe that ships, such as `general`."""
    stages: str = "all"
    """Only these, separated by commas, as in `pretrain,dsa_warmup`; what they build on must be there."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen quickstart`. Returns 1 when a gate failed. Raises UserError, OSError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen quickstart")
    if options.threads < 1:
        raise UsageError(f"--threads is {options.threads}; give at least 1")
    stages = _stages(options.stages)
    from baleen.cli.progress import Progress
    from baleen.cli.run_folder import RunFolder

    recipe, corpus = _recipe(options)
    stop = _Stop()
    with (
        RunFolder(options.out, recipe, seed=options.seed, threads=options.threads) as run,
        Progress(stages, weights={name: _WEIGHTS.get(name, 6) for name in STAGES}) as progress,
    ):
        from baleen.cli.pipeline import Pipeline

        stop.progress = progress
        pipeline = Pipeline(recipe, run, progress, options.threads, corpus, lambda: stop.wanted)
        passed = pipeline.run(stages)
    return _farewell(options, run, stages, passed)


def _recipe(options: Options) -> tuple["Recipe", "Corpus"]:
    """The recipe of the run and its text. What cannot work is refused here, before anything is written."""
    from baleen.cli.stage_data import check_tasks
    from baleen.config import ModelConfig
    from baleen.config.recipe import flatten, load_toml
    from baleen.config.shipped import find_recipe
    from baleen.config.stages import Recipe
    from baleen.data import load_corpus

    changes: dict[str, Any] = {"seed": options.seed}
    if options.smoke:
        changes |= flatten(tomllib.loads(find_recipe("smoke").read_text(encoding="utf-8")))
    if options.text:
        changes["text"] = str(options.text.absolute())
    recipe = load_toml(find_recipe(options.recipe), Recipe, changes)
    ModelConfig.preset(recipe.preset, **recipe.sizes)
    check_tasks(recipe)
    return recipe, load_corpus(Path(recipe.text) if recipe.text else None, recipe.text_bytes)


def _stages(wanted: str) -> list[str]:
    names = list(STAGES) if wanted == "all" else [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in STAGES:
            raise UsageError(f"--stages has {name!r}; known: {', '.join(STAGES)}")
    return [name for name in STAGES if name in names]


class _Stop:
    """The first Ctrl-C asks the stage to save and stop, the second ends at once."""

    def __init__(self) -> None:
        self.wanted = False
        self.progress: Any = None
        signal.signal(signal.SIGINT, self._heard)

    def _heard(self, *_: object) -> None:
        if self.wanted or self.progress is None:
            raise KeyboardInterrupt
        self.wanted = True
        self.progress.message("stopping after this step; the same command goes on from there")


def _farewell(options: Options, run: Any, stages: Sequence[str], passed: bool) -> int:
    from baleen.evaluation.report import write_report

    for name in stages:
        for gate in (run.read_stage(name) or {}).get("gates", ()):
            if not gate["passed"]:
                print(
                    f"gate failed: {name}: {gate['name']} is {gate['value']:.4g}, wanted {gate['relation']} "
                    f"{gate['limit']:g}; {gate['hint']}"
                )
    print(f"report: {write_report(options.out)}")
    if (options.out / "model" / "config.json").exists():
        print(f"model: {options.out / 'model'}; try: baleen chat {options.out / 'model'}")
    if options.smoke and not passed:
        print("a smoke run shows its gates, it cannot meet them")
    return 0 if passed or options.smoke else 1
