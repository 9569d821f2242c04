"""`baleen train RECIPE`: run the stages of a recipe and write a report."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from baleen.config.errors import UsageError
from baleen.config.toml_file import parse_settings
from baleen.runs.clean_stop import STOPPING, CleanStop

if TYPE_CHECKING:
    from baleen.config.recipe import Recipe
    from baleen.runs.run_folder import RunFolder
    from baleen.stages.preparation import Preparation


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
    from baleen.engine.serving import default_compute_path
    from baleen.runs.run_folder import RunFolder
    from baleen.stages.duration import relative_duration
    from baleen.stages.pipeline import Pipeline
    from baleen.stages.preparation import prepare

    out = options.out or Path("runs") / Path(recipe_name or "quickstart").stem
    changed = _changes(options, changes or {})
    run = prepare(out, recipe_name, options.fork, options.stages, changed, parse_settings(options.set))
    shared = _told_of_fork(run.make_folder(), run)
    recipe = run.recipe
    with (
        RunFolder(out, recipe, seed=recipe.seed, threads=options.threads) as run_folder,
        Progress(run.stages, weights={s.name: relative_duration(s) for s in recipe.stages}) as progress,
        CleanStop(lambda: progress.message(STOPPING)) as stop,
    ):
        pipeline = Pipeline(recipe, run_folder, progress, options.threads, run.inputs, stop)
        for line in filter(None, (shared, f"rollouts: {default_compute_path(pipeline.config)}")):
            run_folder.log(line)
            progress.message(line)
        pipeline.run(run.stages)
    return _farewell(out, run_folder, recipe, run.stages, command)


def _changes(options: RunOptions, changes: Mapping[str, Any]) -> dict[str, Any]:
    seed = {} if options.seed is None else {"seed": options.seed}
    text = {"text": str(options.text.absolute())} if options.text else {}
    return {**changes, **seed, **text}


def _told_of_fork(shared: Sequence[str], run: "Preparation") -> str:
    if not (shared and run.source):
        return ""
    again = [name for name in run.stages if name not in shared]
    return f"from {run.source.folder}: {', '.join(shared)}; to run: {', '.join(again) or 'nothing'}"


def _farewell(
    out: Path, run_folder: "RunFolder", recipe: "Recipe", stages: Sequence[str], command: str
) -> int:
    """Print what did not pass, what to do about it, and where the results are. Returns the exit code."""
    from baleen.report.run_report import write_report
    from baleen.stages.checks import brief, to_decide

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
                f"{name}: {brief(check)}, wanted {check['relation']} {check['bound']:g}; {to_decide(check)}"
            )
    print(f"report: {write_report(out)}")
    saved = [stage.save_as for stage in recipe.stages if stage.name in stages and stage.save_as]
    if "model" in saved:
        print(f"model: {out / 'model'}; try: baleen chat {out / 'model'}")
    if not recipe.judged:
        print("too small a run to be judged: it shows that every stage works")
    return 1 if failed else 0


def _another(out: Path) -> Path:
    """A folder beside `out` that does not exist yet."""
    number = 2
    while (found := out.with_name(f"{out.name}-{number}")).exists():
        number += 1
    return found
