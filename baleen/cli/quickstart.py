"""`baleen quickstart`: from nothing to a model that reasons and calls tools, through every stage of V3.2."""

import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from baleen.config.errors import UsageError
from baleen.report.run_data import STAGES
from baleen.runs.clean_stop import STOPPING, CleanStop
from baleen.stages.lineage import missing

if TYPE_CHECKING:
    from baleen.config.stages import Recipe
    from baleen.data import Corpus
    from baleen.runs.run_folder import RunFolder
    from baleen.stages.fork import Source

# Shares of the whole time, for the estimate of what is left.
_WEIGHTS = {"pretrain": 38, "dsa_sparse": 10, "sft": 8, "mixed": 10, "dsa_warmup": 3}


@dataclass(frozen=True)
class Options:
    """Train a tiny DeepSeek-V3.2 through every stage and report on it. The same command resumes."""

    out: Path = Path("runs/quickstart")
    """Folder of the run."""
    smoke: bool = False
    """A few steps of each stage: checks that everything works, learns next to nothing."""
    seed: int | None = None
    """Random numbers of the run; 0 where the recipe does not say otherwise."""
    threads: int = 2
    """Workers, one core each."""
    text: Path | None = None
    """File or folder of text to train on besides the standard library of this Python."""
    recipe: Path | None = None
    """A .toml file, or the name of a recipe that ships, such as `general`; `tiny` if not given."""
    stages: str = "all"
    """Only these, separated by commas, as in `pretrain,dsa_warmup`; what they build on must be there."""
    fork: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """RUN or RUN:STAGE: begin with the recipe and the stages of a finished run, as far as the changes leave them as
    they are, or up to STAGE. That run stays as it is; the new one goes to another --out."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """stage.key=value, as distill.steps=90: change the recipe; repeatable."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen quickstart`. Returns 1 when a check failed. Raises UserError, OSError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen quickstart")
    if options.threads < 1:
        raise UsageError(f"--threads is {options.threads}; give at least 1")
    stages = _stages(options.stages)
    from baleen.cli.progress import Progress
    from baleen.runs.run_folder import RunFolder

    source = _source(options)
    recipe, corpus = _recipe(options, source)
    told = _prepare(options, source, recipe, stages)
    with (
        RunFolder(options.out, recipe, seed=recipe.seed, threads=options.threads) as run,
        Progress(stages, weights={name: _WEIGHTS.get(name, 6) for name in STAGES}) as progress,
        CleanStop(lambda: progress.message(STOPPING)) as stop,
    ):
        from baleen.cli.loading import path_of
        from baleen.config import ModelConfig
        from baleen.stages.pipeline import Pipeline

        for line in filter(
            None, (told, f"rollouts: {path_of(ModelConfig.preset(recipe.preset, **recipe.sizes))}")
        ):
            run.log(line)
            progress.message(line)
        Pipeline(recipe, run, progress, options.threads, corpus, stop).run(stages)
    return _farewell(options, run, stages, recipe.judged)


def _source(options: Options) -> "Source | None":
    from baleen.stages.fork import Source

    if options.fork is None:
        return None
    source = Source.parse(options.fork)
    if source.folder.resolve() == options.out.resolve():
        raise UsageError(f"--from {options.fork} stays as it is; give the new run another folder with --out")
    return source


def _recipe(options: Options, source: "Source | None") -> tuple["Recipe", "Corpus"]:
    """The recipe of the run and its text. What cannot work is refused here, before anything is written."""
    from baleen.config import ModelConfig
    from baleen.config.recipe import flatten, load_toml, parse_settings
    from baleen.config.shipped import find_recipe
    from baleen.config.stages import Recipe
    from baleen.data import load_corpus
    from baleen.stages.curriculum import check_tasks

    changes: dict[str, Any] = {}
    if options.seed is not None:
        changes["seed"] = options.seed
    if options.smoke:
        changes |= flatten(tomllib.loads(find_recipe("smoke").read_text(encoding="utf-8")))
    if options.text:
        changes["text"] = str(options.text.absolute())
    changes |= parse_settings(options.set)
    usual = source.folder / "resolved.toml" if source else find_recipe("tiny")
    recipe = load_toml(find_recipe(options.recipe) if options.recipe else usual, Recipe, changes)
    ModelConfig.preset(recipe.preset, **recipe.sizes)
    check_tasks(recipe)
    return recipe, load_corpus(Path(recipe.text) if recipe.text else None, recipe.text_bytes)


def _prepare(options: Options, source: "Source | None", recipe: "Recipe", stages: Sequence[str]) -> str:
    """Refuse stages that lack what they build on; make the fork where it is not there yet, and say what it shares."""
    is_new = not (options.out / "resolved.toml").exists()
    shared = source.shared(recipe) if source and is_new else []
    finished = shared or [name for name in STAGES if (options.out / "stages" / f"{name}.json").exists()]
    if lack := missing(stages, finished):
        stage, read = lack
        raise UsageError(
            f"--stages has {stage}, which needs {read}, and that has not finished in {options.out}; add it to --stages"
        )
    if not (source and shared):
        return ""
    from baleen.stages.fork import make_fork

    make_fork(source, recipe, shared, options.out)
    again = [name for name in stages if name not in shared]
    return f"from {source.folder}: {', '.join(shared)}; to run: {', '.join(again) or 'nothing'}"


def _stages(wanted: str) -> list[str]:
    names = list(STAGES) if wanted == "all" else [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in STAGES:
            raise UsageError(f"--stages has {name!r}; known: {', '.join(STAGES)}")
    return [name for name in STAGES if name in names]


def _farewell(options: Options, run: "RunFolder", stages: Sequence[str], judged: bool) -> int:
    """What was not passed and what to do about it, and where the results are. Returns the exit code."""
    from baleen.report.run_report import write_report
    from baleen.stages.checks import brief

    checks = [(name, check) for name in stages for check in (run.read_stage(name) or {}).get("checks", ())]
    failed = [(name, check) for name, check in checks if check["state"] == "failed"]
    for name, check in failed:
        print(f"{name}: {brief(check)}, wanted {check['relation']} {check['bound']:g}; {check['hint']}")
        if check["change"]:
            here, there = (shlex.quote(str(folder)) for folder in (options.out, _another(options.out)))
            print(f"  baleen quickstart --from {here} --set {check['change']} --out {there}")
    for name, check in checks:
        if check["state"] == "uncertain":
            print(
                f"{name}: {brief(check)}, wanted {check['relation']} {check['bound']:g}; {_to_decide(check)}"
            )
    print(f"report: {write_report(options.out)}")
    if (options.out / "model" / "config.json").exists():
        print(f"model: {options.out / 'model'}; try: baleen chat {options.out / 'model'}")
    if not judged:
        print("too small a run to be judged: it shows that every stage works")
    return 1 if failed else 0


def _to_decide(check: Mapping[str, Any]) -> str:
    if not check["n"]:
        return "nothing was measured"
    if check["n_needed"] is None:
        return f"n = {check['n']}, and the estimate lies on the bound"
    return f"n = {check['n']}, about {check['n_needed']:,} would decide"


def _another(out: Path) -> Path:
    """A folder beside `out` that is not there yet."""
    number = 2
    while (found := out.with_name(f"{out.name}-{number}")).exists():
        number += 1
    return found
