"""`baleen rl MODEL`: reinforcement learning of a finished model on tasks of any kind, measured before and after."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from baleen.config.errors import UsageError, UserError
from baleen.runs.clean_stop import STOPPING, CleanStop

if TYPE_CHECKING:
    from baleen.cli.progress import Progress
    from baleen.config.stages import RLRun
    from baleen.environments import Environment, Task
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
    from baleen.cli.progress import Progress
    from baleen.runs.run_folder import RunFolder

    config = _config(options)
    tasks = _Tasks(config)  # what cannot work is refused before anything is written
    stages = ["before", "train", "after"]
    with (
        RunFolder(options.out, config, seed=options.seed, threads=options.threads) as run,
        Progress(stages, weights={"train": 8}) as progress,
        CleanStop(lambda: progress.message(STOPPING)) as stop,
    ):
        _run(tasks, run, progress, options.threads, stop)
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


class _Tasks:
    """What a run learns from and is asked: from files, each beside its assets, and from generated families."""

    def __init__(self, config: "RLRun") -> None:
        from baleen.cli.stage_data import held_out_tasks
        from baleen.synthesis import read_tasks

        self.config = config
        self.assets: dict[str, Path] = {}
        self.train: list[Task] = []
        held: list[Task] = []
        for file in map(Path, config.files):
            for task in read_tasks(file):
                self.assets[task.id] = file.parent / "assets"
                (self.train if task.split == "train" else held).append(task)
        if not self.train and not config.stage.tasks:
            raise UserError(
                "there is nothing to train on; give --tasks with tasks of split train, or stage.tasks"
            )
        self.held = held[: config.heldout]
        self.held += held_out_tasks(config.evaluation.tasks, config.evaluation.attempts, config.seed)
        if not self.held:
            raise UserError(
                "no task is held out; give --tasks with tasks of split heldout, or evaluation.tasks"
            )

    def of_step(self, step: int) -> "list[Task]":
        """Families and files take turns by their numbers: half of each where there are both."""
        import random

        from baleen.cli.stage_data import drawn_tasks

        stage, key = self.config.stage, (self.config.seed, "rl", step)
        from_files = stage.prompts if not stage.tasks else stage.prompts // 2 if self.train else 0
        rng = random.Random(repr(key))
        drawn = [rng.choice(self.train) for _ in range(from_files)]
        return drawn + drawn_tasks(stage.tasks, stage.prompts - from_files, key, stage.follow_ups)

    def world(self, task: "Task") -> "Environment":
        from baleen.environments import environment_for

        return environment_for(task, self.assets.get(task.id))


def _run(tasks: _Tasks, run: "RunFolder", progress: "Progress", threads: int, stop: CleanStop) -> None:
    from baleen.chat import Tokenizer
    from baleen.cli import measure
    from baleen.cli.loading import path_of
    from baleen.model import Transformer, load_model, save_model
    from baleen.rl import train_rl
    from baleen.train import Checkpoints, Interrupted, Surroundings, Workers

    config, tokenizer = tasks.config, Tokenizer.from_pretrained(tasks.config.model)
    model = load_model(config.model)
    progress.message(f"rollouts: {path_of(model.config)}")

    def measured(name: str, model: Transformer) -> None:
        if run.read_stage(name) is not None:
            progress.skip_stage(name)
            return
        progress.start_stage(name, 0)
        found = measure.solve(model, tokenizer, tasks.held, config.evaluation, config.stage.mode, tasks.world)
        answers = measure.answers_of(found)
        run.write_stage(
            name, {"stage": name, "answers": answers, "evals": found.rows(), "samples": found.samples(3)}
        )
        progress.finish_stage(
            True, f"{sum(a['correct'] for a in answers)} of {len(answers)} held-out tasks solved"
        )

    measured("before", model)
    progress.start_stage("train", config.stage.steps)

    def log(step: int, scalars: dict[str, float]) -> None:
        run.log_metrics("train", step, **scalars)
        progress.update(step + 1, **scalars)

    def tell(line: str) -> None:
        run.log(line)
        progress.message(line)

    checkpoints = Checkpoints(run.checkpoints / "train", tell)
    around = Surroundings(
        Workers(threads),
        checkpoints,
        log,
        lambda: stop.heard,
        lambda done: run.truncate_metrics("train", done - 1),
        progress.message,
    )
    try:
        train_rl(model, tokenizer, config.stage, tasks.of_step, around, config.seed, tasks.world)
    except Interrupted:
        stop.raise_if_heard()
        raise
    progress.finish_stage(True)
    measured("after", model)
    save_model(model, run.path / "model")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (run.path / "model" / file).write_bytes(Path(config.model, file).read_bytes())


def _tell(run: "RunFolder", progress: "Progress") -> int:
    """The table of what was solved before and after, and the paired rise."""
    from baleen.evaluation import newcombe_paired

    before, after = (_record(run, name) for name in ("before", "after"))
    then = {_kind(row): row for row in before["evals"]}
    for row in after["evals"]:
        old = then[_kind(row)]
        progress.message(
            f"  {row['domain']} {row['family']} {row['difficulty']}: {old['correct']} -> {row['correct']} "
            f"of {row['n']}, {old['completion_tokens']:.0f} -> {row['completion_tokens']:.0f} tokens"
        )
    was, now = ([answer["correct"] for answer in found["answers"]] for found in (before, after))
    rise, n = newcombe_paired(now, was), len(now)
    progress.message(
        f"held-out accuracy {sum(was) / n:.3f} -> {sum(now) / n:.3f} (n = {n}), rise {rise.estimate:+.3f}, "
        f"95 % interval {rise.low:+.3f} to {rise.high:+.3f}"
    )
    progress.message(f"model: {run.path / 'model'}; try: baleen chat {run.path / 'model'}")
    return 0 if rise.low > 0 else 1


def _kind(row: Mapping[str, Any]) -> str:
    return json.dumps([row["domain"], row["family"], row["difficulty"]])


def _record(run: "RunFolder", name: str) -> dict[str, Any]:
    record = run.read_stage(name)
    assert record is not None, f"{name} was just written"
    return record
