"""`baleen rl MODEL`: reinforcement learning of a finished model on tasks of any kind, measured before and after."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from baleen.config.errors import UsageError
from baleen.runs.clean_stop import STOPPING, CleanStop

if TYPE_CHECKING:
    from baleen.cli.progress import Progress
    from baleen.config.stages import RLRun
    from baleen.runs.run_folder import RunFolder


@dataclass(frozen=True)
class Options:
    """Train a model by GRPO on tasks and say how much better it is on held-out ones. The same command resumes."""

    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Model folder, or the folder of a finished run."""

    tasks: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """A tasks.jsonl of `baleen synth`, of any kind; repeatable. Its split says what is held out."""

    out: Path = Path("runs/rl")
    """Folder of the run; the trained model is OUT/model."""

    recipe: Path = Path("rl")
    """The stage and its evaluation, a .toml file or the name of a recipe that ships, such as `rl_general`; families of
    generated tasks may be named there beside --tasks."""

    seed: int = 0
    threads: int = 2
    """Workers, one core each."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen rl`. Returns 1 where the rise on held-out tasks may be chance. Raises UserError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen rl")
    if options.threads < 1:
        raise UsageError(f"--threads is {options.threads}; give at least 1")
    from baleen.cli.loading import path_of
    from baleen.cli.progress import Progress
    from baleen.config import ModelConfig
    from baleen.runs.run_folder import RunFolder
    from baleen.stages.rl_run import RLTasks, run_rl

    config = _config(options)
    tasks = RLTasks(config)  # what cannot work is refused before anything is written
    stages = ["before", "train", "after"]
    with (
        RunFolder(options.out, config, seed=options.seed, threads=options.threads) as run,
        Progress(stages, weights={"train": 8}) as progress,
        CleanStop(lambda: progress.message(STOPPING)) as stop,
    ):
        progress.message(f"rollouts: {path_of(ModelConfig.from_pretrained(config.model))}")
        run_rl(tasks, run, progress, options.threads, stop)
        return _tell(run, progress)


def _config(options: Options) -> "RLRun":
    from baleen.cli.loading import model_folder
    from baleen.config.recipe import load_toml
    from baleen.config.shipped import find_recipe
    from baleen.config.stages import RLRun

    changes = {
        "seed": options.seed,
        "model": str(model_folder(options.model).absolute()),
        "files": [str(path.absolute()) for path in options.tasks],
    }
    return load_toml(find_recipe(options.recipe), RLRun, changes)


def _tell(run: "RunFolder", progress: "Progress") -> int:
    """The table of what was solved before and after, and the paired rise."""
    from baleen.stages.rl_run import rise

    found, before, after = rise(run)
    then = {_kind(row): row for row in before["evals"]}
    for row in after["evals"]:
        old = then[_kind(row)]
        progress.message(
            f"  {row['domain']} {row['family']} {row['difficulty']}: {old['correct']} -> {row['correct']} "
            f"of {row['n']}, {old['completion_tokens']:.0f} -> {row['completion_tokens']:.0f} tokens"
        )
    n = len(after["answers"])
    was, now = (sum(answer["correct"] for answer in record["answers"]) / n for record in (before, after))
    progress.message(
        f"held-out accuracy {was:.3f} -> {now:.3f} (n = {n}), rise {found.estimate:+.3f}, "
        f"95 % interval {found.low:+.3f} to {found.high:+.3f}"
    )
    progress.message(f"model: {run.path / 'model'}; try: baleen chat {run.path / 'model'}")
    return 0 if found.low > 0 else 1


def _kind(row: Mapping[str, Any]) -> str:
    return json.dumps([row["domain"], row["family"], row["difficulty"]])
