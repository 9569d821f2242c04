"""One stage of reinforcement learning on a finished model, measured on held-out tasks before and after."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baleen.chat import Tokenizer
from baleen.config.errors import UserError
from baleen.config.stages import RLRun
from baleen.environments import Environment, Task, environment_for, read_tasks
from baleen.evaluation.intervals import Interval, newcombe_paired
from baleen.model import Transformer, load_model, save_model
from baleen.rl import train_rl
from baleen.runs.clean_stop import CleanStop
from baleen.runs.run_folder import RunFolder
from baleen.stages import measure
from baleen.stages.curriculum import drawn_tasks, held_out_tasks
from baleen.stages.listener import StageListener
from baleen.train import Checkpoints, Interrupted, Surroundings, Workers


class RLTasks:
    """What a run learns from and is asked: from files, each beside its assets, and from generated families."""

    def __init__(self, config: RLRun) -> None:
        """Raises UserError where there is nothing to train on, or nothing to ask."""
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

    def of_step(self, step: int) -> list[Task]:
        """Families and files take turns by their numbers: half of each where there are both."""
        stage, key = self.config.stage, (self.config.seed, "rl", step)
        from_files = stage.prompts if not stage.tasks else stage.prompts // 2 if self.train else 0
        rng = random.Random(repr(key))
        drawn = [rng.choice(self.train) for _ in range(from_files)]
        return drawn + drawn_tasks(stage.tasks, stage.prompts - from_files, key, stage.follow_ups)

    def world(self, task: Task) -> Environment:
        return environment_for(task, self.assets.get(task.id))


def run_rl(tasks: RLTasks, run: RunFolder, listener: StageListener, threads: int, stop: CleanStop) -> None:
    """Measure, train, measure, and write the trained model to `run.path / "model"`. Raises Stopped, UserError."""
    config, tokenizer = tasks.config, Tokenizer.from_pretrained(tasks.config.model)
    model = load_model(config.model)

    def measured(name: str, model: Transformer) -> None:
        if run.read_stage(name) is not None:
            listener.skip_stage(name)
            return
        listener.start_stage(name, 0)
        found = measure.solve(model, tokenizer, tasks.held, config.evaluation, config.stage.mode, tasks.world)
        answers = measure.answers_of(found)
        run.write_stage(
            name, {"stage": name, "answers": answers, "evals": found.rows(), "samples": found.samples(3)}
        )
        listener.finish_stage(
            True, f"{sum(a['correct'] for a in answers)} of {len(answers)} held-out tasks solved"
        )

    measured("before", model)
    listener.start_stage("train", config.stage.steps)

    def log(step: int, scalars: dict[str, float]) -> None:
        run.log_metrics("train", step, **scalars)
        listener.update(step + 1, **scalars)

    def tell(line: str) -> None:
        run.log(line)
        listener.message(line)

    checkpoints = Checkpoints(run.checkpoints / "train", tell)
    around = Surroundings(
        Workers(threads),
        checkpoints,
        log,
        lambda: stop.heard,
        lambda done: run.truncate_metrics("train", done - 1),
        listener.message,
    )
    try:
        train_rl(model, tokenizer, config.stage, tasks.of_step, around, config.seed, tasks.world)
    except Interrupted:
        stop.raise_if_heard()
        raise
    listener.finish_stage(True)
    measured("after", model)
    save_model(model, run.path / "model")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (run.path / "model" / file).write_bytes(Path(config.model, file).read_bytes())


def rise(run: RunFolder) -> tuple[Interval, Mapping[str, Any], Mapping[str, Any]]:
    """The paired rise of held-out accuracy of a finished run, and the records before and after."""
    before, after = (_record(run, name) for name in ("before", "after"))
    was, now = ([answer["correct"] for answer in found["answers"]] for found in (before, after))
    return newcombe_paired(now, was), before, after


def _record(run: RunFolder, name: str) -> dict[str, Any]:
    record = run.read_stage(name)
    assert record is not None, f"{name} was just written"
    return record
