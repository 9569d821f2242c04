"""`baleen train RECIPE`: run the stages of a recipe and write a report."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from baleen.config.errors import UsageError
from baleen.runs.clean_stop import STOPPING, CleanStop

if TYPE_CHECKING:
    from baleen.config.recipe import Recipe
    from baleen.config.stages import AnyStage
    from baleen.runs.run_folder import RunFolder
    from baleen.stages.fork import Source
    from baleen.stages.inputs import Inputs

# Cost of a rollout in tokens of supervised training, to estimate the remaining time.
_ROLLOUT_TOKENS = 100


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of every command that runs a recipe."""

    out: Path | None = None
    """Folder of the run, runs/RECIPE by default. The same command resumes it."""
    seed: int | None = None
    """Random seed; 0 unless the recipe sets one."""
    threads: int = 2
    """Worker threads, one per core."""
    text: Path | None = None
    """File or folder of text to train on, besides the sources of the Python standard library."""
    stages: Annotated[str, tyro.conf.arg(aliases=["--stage"])] = "all"
    """Run only these, separated by commas, as in `pretrain,dsa_warmup`; the stages they depend on must be finished."""
    fork: Annotated[str | None, tyro.conf.arg(name="from")] = None
    """RUN or RUN:STAGE: start from another run, reusing its recipe and all finished stages that your changes do not
    affect, or only those up to STAGE. That run is not modified; give the new one another --out. Or a model folder: the
    model that the first stage starts from."""
    set: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """Change a value of the recipe, as distill.steps=90; repeatable."""


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Run a recipe, a list of training stages. The same command resumes."""

    recipe: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RECIPE")]
    """A .toml file, or a shipped recipe: tiny, smoke, general, retrofit."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen train`. Returns 1 when a check failed. Raises UserError, OSError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen train")
    return run(options, options.recipe, "baleen train")


def run(
    options: RunOptions, recipe_name: str | None, command: str, changes: Mapping[str, Any] | None = None
) -> int:
    """Run the stages of a recipe. Returns 1 when a check failed. Raises UserError, OSError.

    recipe_name: None for the recipe of the forked run, else `tiny`. command: shown in hints. changes: overrides.
    """
    if options.threads < 1:
        raise UsageError(f"--threads is {options.threads}; give at least 1")
    from baleen.cli.progress import Progress
    from baleen.runs.run_folder import RunFolder

    out = options.out or Path("runs") / Path(recipe_name or "quickstart").stem
    source = _source(options, out)
    recipe, inputs = _recipe(options, recipe_name, source, dict(changes or {}))
    stages = _stages(options.stages, recipe)
    told = _prepare(out, source, recipe, stages)
    with (
        RunFolder(out, recipe, seed=recipe.seed, threads=options.threads) as run_folder,
        Progress(stages, weights={stage.name: _weight(stage) for stage in recipe.stages}) as progress,
        CleanStop(lambda: progress.message(STOPPING)) as stop,
    ):
        from baleen.engine.serving import default_compute_path
        from baleen.stages.pipeline import Pipeline

        pipeline = Pipeline(recipe, run_folder, progress, options.threads, inputs, stop)
        for line in filter(None, (told, f"rollouts: {default_compute_path(pipeline.config)}")):
            run_folder.log(line)
            progress.message(line)
        pipeline.run(stages)
    return _farewell(out, run_folder, recipe, stages, command)


def _source(options: RunOptions, out: Path) -> "Source | None":
    """The run to fork; None if --from is a model folder or not given."""
    from baleen.stages.fork import Source

    if options.fork is None or _is_model(options.fork):
        return None
    source = Source.parse(options.fork)
    if source.folder.resolve() == out.resolve():
        raise UsageError(f"--from {options.fork} stays as it is; give the new run another folder with --out")
    return source


def _is_model(given: str) -> bool:
    return (Path(given) / "config.json").exists()


def _recipe(
    options: RunOptions, name: str | None, source: "Source | None", changes: dict[str, Any]
) -> tuple["Recipe", "Inputs"]:
    """The recipe and its inputs, checked before anything is written."""
    from baleen.config.recipe import first_stage, load_recipe
    from baleen.config.shipped import find_recipe
    from baleen.config.toml_file import parse_settings
    from baleen.stages.inputs import checked_inputs

    usual = source.folder / "resolved.toml" if source else find_recipe("tiny")
    path = find_recipe(name) if name else usual
    if options.seed is not None:
        changes["seed"] = options.seed
    if options.text:
        changes["text"] = str(options.text.absolute())
    if options.fork and not source:
        changes[f"{first_stage(path)}.from"] = str(Path(options.fork).absolute())
    recipe = load_recipe(path, changes | parse_settings(options.set))
    return recipe, checked_inputs(recipe)


def _prepare(out: Path, source: "Source | None", recipe: "Recipe", stages: Sequence[str]) -> str:
    """Check that the stages' dependencies are there, create the fork if needed, and say what it shares."""
    is_new = not (out / "resolved.toml").exists()
    shared = source.shared(recipe) if source and is_new else []
    finished = shared or [name for name in recipe.names if (out / "stages" / f"{name}.json").exists()]
    if lack := recipe.missing(stages, finished):
        stage, read = lack
        raise UsageError(
            f"--stages has {stage}, which needs {read}, and that has not finished in {out}; add it to --stages"
        )
    if not (source and shared):
        return ""
    from baleen.stages.fork import make_fork

    make_fork(source, recipe, shared, out)
    again = [name for name in stages if name not in shared]
    return f"from {source.folder}: {', '.join(shared)}; to run: {', '.join(again) or 'nothing'}"


def _stages(wanted: str, recipe: "Recipe") -> list[str]:
    names = recipe.names if wanted == "all" else [name.strip() for name in wanted.split(",")]
    for name in names:
        if name not in recipe.names:
            raise UsageError(f"--stages has {name!r}; known: {', '.join(recipe.names)}")
    return [name for name in recipe.names if name in names]


def _weight(stage: "AnyStage") -> float:
    """Approximate duration of a stage relative to the others."""
    if stage.kind == "rl":
        return stage.steps * stage.prompts_per_step * stage.group_size * _ROLLOUT_TOKENS
    return stage.steps * stage.batch_size * stage.seq_len


def _farewell(
    out: Path, run_folder: "RunFolder", recipe: "Recipe", stages: Sequence[str], command: str
) -> int:
    """Print what did not pass, what to do about it, and where the results are. Returns the exit code."""
    from baleen.report.run_report import write_report
    from baleen.stages.checks import brief

    checks = [
        (name, check) for name in stages for check in (run_folder.read_stage(name) or {}).get("checks", ())
    ]
    failed = [(name, check) for name, check in checks if check["state"] == "failed"]
    for name, check in failed:
        print(f"{name}: {brief(check)}, wanted {check['relation']} {check['bound']:g}; {check['hint']}")
        if check["change"]:
            here, there = (shlex.quote(str(folder)) for folder in (out, _another(out)))
            print(f"  {command} --from {here} --set {check['change']} --out {there}")
    for name, check in checks:
        if check["state"] == "uncertain":
            print(
                f"{name}: {brief(check)}, wanted {check['relation']} {check['bound']:g}; {_to_decide(check)}"
            )
    print(f"report: {write_report(out)}")
    saved = [stage.save_as for stage in recipe.stages if stage.name in stages and stage.save_as]
    if "model" in saved:
        print(f"model: {out / 'model'}; try: baleen chat {out / 'model'}")
    if not recipe.judged:
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
