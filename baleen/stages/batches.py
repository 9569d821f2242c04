"""The training data of each step of a stage: rows of text and demonstrations, or tasks for rollouts."""

import dataclasses
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baleen.agent import Trajectory
from baleen.chat import Tokenizer
from baleen.config.data import TaskShare
from baleen.config.errors import UserError
from baleen.config.recipe import Recipe
from baleen.config.stages import AnyStage, DistillStage, PretrainStage, RLStage, SupervisedStage
from baleen.data import Document, Mixture
from baleen.data.packing import Packed
from baleen.environments import Environment, Task, domain_of, environment_for, read_tasks
from baleen.model import Transformer
from baleen.rl import EngineSampler, sample_groups
from baleen.stages import curriculum

Batches = Callable[[int], Packed]


class TaskFiles:
    """The tasks in the `task_files` of all RL stages, with their assets."""

    def __init__(self, recipe: Recipe) -> None:
        """Read the files.

        Raises:
            UserError: a file cannot be read, or a stage has nothing to train on.
        """
        self._assets: dict[str, Path] = {}
        self._train: dict[str, list[Task]] = {}
        self.held_out: list[Task] = []
        for stage in recipe.stages:
            if isinstance(stage, RLStage):
                self._read(stage)
        self.held_out = self.held_out[: recipe.evaluation.task_files]

    def _read(self, stage: RLStage) -> None:
        train = self._train[stage.name] = []
        for file in map(Path, stage.task_files):
            for task in read_tasks(file):
                if task.split == "train":
                    train.append(task)
                elif task.id not in self._assets:
                    self.held_out.append(task)
                self._assets[task.id] = file.parent / "assets"
        if not train and not stage.tasks:
            raise UserError(
                f"{stage.name} has nothing to train on; give {stage.name}.task_files (--tasks) with tasks of split "
                f"train, or {stage.name}.tasks"
            )

    def of_step(self, stage: RLStage, seed: int, step: int) -> list[Task]:
        """The tasks of a step: half from files and half from generated families if the stage has both."""
        key, train = (seed, stage.name, step), self._train[stage.name]
        count = stage.prompts_per_step
        from_files = (count // 2 if stage.tasks else count) if train else 0
        rng = random.Random(repr(key))
        drawn = [rng.choice(train) for _ in range(from_files)]
        return drawn + curriculum.drawn_tasks(stage.tasks, count - from_files, key, stage.follow_ups)

    def domains(self, stage: AnyStage) -> list[str]:
        """The domains that an RL stage trains on, sorted."""
        if not isinstance(stage, RLStage):
            return []
        found = {domain_of(family) for family in stage.tasks}
        return sorted(found | {task.domain for task in self._train[stage.name]})

    def world(self, task: Task) -> Environment:
        """A fresh environment for a task, with the assets of its file."""
        return environment_for(task, self._assets.get(task.id))


def supervised_batches(
    recipe: Recipe,
    stage: SupervisedStage,
    tokenizer: Tokenizer,
    text: NDArray[np.int32],
    solved: Sequence[Document] = (),
) -> Batches:
    """The batches of a stage.

    Args:
        recipe: the recipe.
        stage: the stage.
        tokenizer: the run's tokenizer.
        text: token ids of the text to train on.
        solved: for a student, the documents of its teachers, beside `stage.data`.

    Returns:
        The batch of a step, as a pure function of the step.
    """
    mixture = _mixture(recipe, stage.data, tokenizer, text)
    if isinstance(stage, PretrainStage):
        return _pretraining(recipe, stage, tokenizer, mixture)
    if isinstance(stage, DistillStage):
        draw = curriculum.either(solved, mixture.draw, stage.demonstrations)
        mixture = dataclasses.replace(mixture, draw=draw)
    return lambda step: mixture.batch(stage.name, step, stage.batch_size, stage.seq_len)


def _pretraining(recipe: Recipe, stage: PretrainStage, tokenizer: Tokenizer, short: Mixture) -> Batches:
    long = _mixture(recipe, stage.extension_data or stage.data, tokenizer, short.text)
    size, length = stage.batch_size, stage.seq_len
    extended = max(1, size * length // stage.extension_seq_len)

    def batch(step: int) -> Packed:
        if step < stage.copy_steps:
            draw = curriculum.first_copies(tokenizer, step / stage.copy_steps)
            return Mixture(short.text, 0.0, draw, recipe.seed).batch(stage.name, step, size, length)
        if step < stage.steps - stage.extension_steps:
            return short.batch(stage.name, step, size, length)
        return long.batch(stage.name, step, extended, stage.extension_seq_len)

    return batch


def _mixture(recipe: Recipe, name: str, tokenizer: Tokenizer, text: NDArray[np.int32]) -> Mixture:
    mix = recipe.data[name]
    return Mixture(text, mix.text_share, curriculum.demonstrations(tokenizer, mix), recipe.seed)


def solved_by_teachers(
    recipe: Recipe,
    stage: DistillStage,
    tokenizer: Tokenizer,
    files: TaskFiles,
    model_after: Callable[[str], Transformer],
    student: Transformer,
) -> list[Document]:
    """What a student learns from: rollouts in which its teachers solved new tasks, and short solutions of its own.

    Without the short ones the student always thinks at full length, and a length penalty has nothing to choose from.

    Args:
        recipe: the recipe.
        stage: the student's stage.
        tokenizer: the run's tokenizer.
        files: the tasks of task files.
        model_after: gives the model of a finished stage.
        student: the model that the student starts from; for a share `stage.terse` of the tasks its shortest solution is
            added.
    """
    others: Mapping[str, TaskShare] = recipe.data[stage.follow_up_data or stage.data].tasks
    solved: list[Trajectory] = []
    for name, prompts in stage.teachers.items():
        teacher = recipe.stage(name)
        assert isinstance(teacher, RLStage), f"{name} is checked to be one"
        asked_as = teacher.model_copy(update={"group_size": stage.group_size})
        key = (recipe.seed, stage.name, name)
        tasks = curriculum.drawn_tasks(teacher.tasks, prompts, key, stage.follow_ups, others)
        for model, share in ((model_after(name), 1.0), (student, stage.terse)):
            asked = tasks[: round(share * len(tasks))]
            sampler = EngineSampler(tokenizer, asked_as, files.world)
            sampler.update_weights(model, version=0)
            groups = sample_groups(sampler, asked_as, asked, key)
            for group in groups.trajectories:
                right = sorted((one for one in group if one.reward == 1.0), key=lambda one: one.think_tokens)
                solved += right[:1] if model is student else right
    return curriculum.documents_of(solved)
