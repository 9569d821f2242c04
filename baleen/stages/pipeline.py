"""Runs the stages of a recipe. Each starts from its parent's checkpoint and needs nothing but what is on disk."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from baleen.chat import Tokenizer
from baleen.config import UserError
from baleen.config.data import DataMix
from baleen.config.recipe import Recipe, is_asked
from baleen.config.stages import AnyStage, DistillStage, RLStage
from baleen.data import Corpus, Mixture, text_tokens
from baleen.data.packing import Packed, first_rows
from baleen.environments import Task
from baleen.model import Transformer, save_model, with_attention
from baleen.rl import EngineSampler, train_rl
from baleen.runs.clean_stop import CleanStop
from baleen.runs.run_folder import RunFolder
from baleen.stages import acceptance, curriculum, measure
from baleen.stages.batches import solved_by_teachers, supervised_batches
from baleen.stages.checks import brief, judged, overall
from baleen.stages.figures import FIGURES, write_figures
from baleen.stages.inputs import Inputs
from baleen.stages.listener import StageListener
from baleen.stages.start import folders, model_config, read_start
from baleen.train import CheckpointError, Checkpoints, Interrupted, StageContext, Workers, train

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
HELD_OUT_ROWS = 16


class Pipeline:
    """Runs stages in an open run folder."""

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        listener: StageListener,
        threads: int,
        inputs: Inputs,
        stop: CleanStop,
    ):
        """Prepare what all stages share: the tokenizer, the text, the held-out rows and tasks.

        Args:
            recipe: the recipe.
            folder: the open folder of the run.
            listener: receives the progress.
            threads: workers, one core each.
            inputs: the text and the tasks, checked.
            stop: the request to stop, which is looked at after every step.

        Raises:
            UserError: the tokenizer is gone, although a stage was trained with it.
        """
        self.recipe, self.folder, self.listener, self.stop = recipe, folder, listener, stop
        self.workers = Workers(threads)
        self.files, corpus = inputs.files, inputs.corpus
        self.tokenizer = self._tokenizer(corpus)
        self.config = model_config(recipe, self.tokenizer.vocab_size)
        self.text = text_tokens(self.tokenizer, corpus.train)
        self.heldout_rows = self._heldout_rows(corpus)
        self.heldout_text = first_rows(self.heldout_rows, len(self.heldout_rows.token_ids) // 2)
        self.tasks = self._held_out_tasks()

    def run(self, stages: Sequence[str]) -> None:
        """Run those of `stages` that have not finished.

        Raises:
            UserError: the checkpoint of a finished stage is missing or damaged.
            Stopped: after a signal, once the current step is saved.
            OSError: the disk is full or cannot be written.
        """
        for name in stages:
            stage = self.recipe.stage(name)
            record = self.folder.read_stage(name)
            if record is None:
                self.stop.raise_if_heard()
                self._run_stage(stage)
                continue
            if not all((self.folder.path / left).exists() for left in exports(self.recipe, stage)):
                self._export(stage, self.model_after(name))
            self.listener.skip_stage(name, overall(record["checks"]))

    def _run_stage(self, stage: AnyStage) -> None:
        model = self._begin(stage)
        self.listener.start_stage(stage.name, stage.steps)
        clock = _Clock()
        context = self._surroundings(stage.name, clock)
        try:
            if isinstance(stage, RLStage):

                def tasks(step: int) -> list[Task]:
                    return self.files.of_step(stage, self.recipe.seed, step)

                sampler = EngineSampler(self.tokenizer, stage, self.files.world)
                train_rl(model, sampler, stage, tasks, context, self.recipe.seed)
            else:
                train(model, stage, self._batches(stage, model), context)
        except Interrupted:
            self.stop.raise_if_heard()
            raise
        record: dict[str, Any] = {
            "stage": stage.name,
            "kind": stage.kind,
            "domains": self.files.domains(stage),
            "steps": stage.steps,
            "tokens": self._tokens(stage),
            "samples": [],
            "evals": [],
        }
        record |= self._measured(stage, model)
        record["seconds"] = clock.elapsed()
        self._export(stage, model)
        self.folder.write_stage(stage.name, record)  # last: a stage with a record has left all that it leaves
        told = [f"{record['bits_per_byte']:.3f} bits/byte", *map(brief, record["checks"])]
        self.listener.finish_stage(overall(record["checks"]), "; ".join(told))

    def model_after(self, name: str) -> Transformer:
        """The model of a finished stage.

        Raises:
            UserError: the stage has not run, or its checkpoint is damaged.
        """
        steps = self._record(name)["steps"]
        model = self._empty_model(name)
        try:
            _, groups, _ = Checkpoints(self.folder.checkpoints / name).at(steps)
        except CheckpointError as error:
            raise UserError(
                f"the last checkpoint of finished stage {name} cannot be read: {error}; delete "
                f"{self.folder.stages / name}.json to run the stage again"
            ) from None
        model.load_state_dict(groups["model"])
        return model

    def _tokenizer(self, corpus: Corpus) -> Tokenizer:
        """The run's tokenizer, learned or copied once. Raises UserError where it is gone and a stage was trained."""
        folder = self.folder.checkpoints / "tokenizer"
        lost = [file for file in TOKENIZER_FILES if not (folder / file).exists()]
        trained = [name for name in self.recipe.names if (self.folder.checkpoints / name).exists()]
        if lost and trained:
            raise UserError(
                f"{folder / lost[0]} is missing, and {trained[0]} was trained with it; copy "
                f"{' and '.join(TOKENIZER_FILES)} there from {self.folder.path}/model or model-sft, "
                f"or start again in another folder with --out"
            )
        if lost and (starts := folders(self.recipe)):
            folder.mkdir(exist_ok=True)
            for file in TOKENIZER_FILES:
                shutil.copyfile(starts[0] / file, folder / file)
        return curriculum.tokenizer_of(folder, self.recipe, corpus.train)

    def _begin(self, stage: AnyStage) -> Transformer:
        if parent := self.recipe.parent(stage.name):
            return with_attention(self.model_after(parent), self._is_sparse(stage.name))
        if stage.start:
            model = read_start(Path(stage.start).expanduser(), self.config, self.recipe.seed)
            return with_attention(model, self._is_sparse(stage.name))
        return self._empty_model(stage.name).initialize(torch.Generator().manual_seed(self.recipe.seed))

    def _empty_model(self, name: str) -> Transformer:
        return Transformer(self.config.replace(sparse_attention=self._is_sparse(name)))

    def _is_sparse(self, name: str) -> bool:
        """Whether attention reads only the selected tokens during the stage: from the sparse stage on."""
        stage = self.recipe.stage(name)
        if stage.kind in ("pretrain", "index_warmup"):
            return False
        if stage.kind == "sparse":
            return True
        parent = self.recipe.parent(name)
        return self._is_sparse(parent) if parent else self.config.sparse_attention

    def _tokens(self, stage: AnyStage) -> int:
        """Tokens that a supervised stage trained on, or that an RL stage sampled."""
        if not isinstance(stage, RLStage):
            return stage.steps * stage.batch_size * stage.seq_len
        return sum(line["sampled_tokens"] for line in self.folder.metrics() if line["stage"] == stage.name)

    def _surroundings(self, name: str, clock: "_Clock") -> StageContext:
        def log(step: int, scalars: dict[str, float]) -> None:
            self.folder.log_metrics(name, step, **scalars, elapsed=clock.elapsed())
            self.listener.update(step + 1, **scalars)

        def resumed(done: int) -> None:
            self.folder.truncate_metrics(name, done - 1)
            earlier = [line["elapsed"] for line in self.folder.metrics() if line["stage"] == name]
            clock.before = earlier[-1] if earlier else 0.0

        checkpoints = Checkpoints(self.folder.checkpoints / name, self._tell)
        return StageContext(self.workers, checkpoints, log, lambda: self.stop.heard, resumed, self._tell)

    def _tell(self, line: str) -> None:
        self.folder.log(line)
        self.listener.message(line)

    def _heldout_rows(self, corpus: Corpus) -> Packed:
        """Held-out rows. The first half is text; so is the second, unless the mixture has tasks."""
        mix = self.recipe.data.get(self.recipe.evaluation.data) or DataMix(text_share=1.0)
        draw = curriculum.demonstrations(self.tokenizer, mix, "heldout")
        share = 0.5 if mix.tasks else 1.0
        mixture = Mixture(text_tokens(self.tokenizer, corpus.heldout), share, draw, self.recipe.seed)
        return mixture.batch("heldout", 0, HELD_OUT_ROWS, self.recipe.evaluation.seq_len)

    def _held_out_tasks(self) -> list[Task]:
        evaluation = self.recipe.evaluation
        asked = {
            family: (*evaluation.tasks.get(family, ()), *evaluation.hard.get(family, ()))
            for family in {**evaluation.tasks, **evaluation.hard}
        }
        drawn = curriculum.held_out_tasks(asked, evaluation.attempts, self.recipe.seed, self.folder.log)
        return self.files.held_out + drawn

    def _batches(self, stage: AnyStage, model: Transformer) -> Callable[[int], Packed]:
        assert not isinstance(stage, RLStage), "it learns from rollouts"
        solved = (
            solved_by_teachers(self.recipe, stage, self.tokenizer, self.files, self.model_after, model)
            if isinstance(stage, DistillStage)
            else ()
        )
        return supervised_batches(self.recipe, stage, self.tokenizer, self.text, solved)

    def _measured(self, stage: AnyStage, model: Transformer) -> dict[str, Any]:
        """Evaluation results and checks for the record of a finished stage."""
        load = measure.expert_load(model, self.heldout_rows)
        found: dict[str, Any] = {
            "bits_per_byte": measure.bits_per_byte(model, self.heldout_text, self.tokenizer),
            "expert_load": load,
            "summary": {},
        }
        if not is_asked(stage):
            figures = before = {}
            if self.config.index_n_heads:
                figures = measure.indexer_figures(model, self.heldout_rows)
                before = self._before(stage)["summary"] if stage.start else figures
                found["summary"] = figures | {"kl_first": before["kl"], "kl_last": figures["kl"]}
            checks = acceptance.base_checks(stage, load, before, figures)
            return found | {"checks": judged(checks, self.recipe)}
        found |= self._asked(model)
        checks, told = acceptance.answer_checks(
            stage,
            found["answers"],
            self.recipe.evaluation.hard,
            lambda: self._before(stage)["answers"],
            {name: self._record(name) for name in stage.teachers} if isinstance(stage, DistillStage) else {},
            self.files.domains(stage),
        )
        return found | {"checks": judged(checks, self.recipe)} | told

    def _asked(self, model: Transformer) -> dict[str, Any]:
        """Evaluate the model on the held-out tasks."""
        evaluation = self.recipe.evaluation
        benchmark = measure.solve(model, self.tokenizer, self.tasks, evaluation, self.files.world)
        evals = [row | {"hard": acceptance.is_hard(row, evaluation.hard)} for row in benchmark.rows()]
        return {"answers": measure.answers_of(benchmark), "evals": evals, "samples": benchmark.samples()}

    def _before(self, stage: AnyStage) -> dict[str, Any]:
        """Results of the model that `stage` started from: its parent's record, or measured now and kept."""
        parent = self.recipe.parent(stage.name)
        if parent and is_asked(self.recipe.stage(parent)) == is_asked(stage):
            return self._record(parent)
        name = f"{stage.name}-start"
        record = self.folder.read_stage(name)
        if record is None:
            model = self._begin(stage)
            record = (
                self._asked(model)
                if is_asked(stage)
                else {"summary": measure.indexer_figures(model, self.heldout_rows)}
            )
            self.folder.write_stage(name, record)
        return record

    def _record(self, name: str) -> dict[str, Any]:
        record = self.folder.read_stage(name)
        if record is None:
            raise UserError(f"stage {name} has not finished in {self.folder.path}; add it to --stages")
        return record

    def _export(self, stage: AnyStage, model: Transformer) -> None:
        """Save the finished model under `save_as`, and measure it for the report."""
        if not stage.save_as:
            return
        path = self.folder.path / stage.save_as
        save_model(model, path)
        for file in TOKENIZER_FILES:
            shutil.copyfile(self.folder.checkpoints / "tokenizer" / file, path / file)
        if set(FIGURES) & set(exports(self.recipe, stage)):
            text = self.heldout_text.token_ids[0].tolist()
            write_figures(self.folder.path, model, self.tokenizer, text, self.recipe.seed)


def exports(recipe: Recipe, stage: AnyStage) -> list[str]:
    """What a finished stage writes to the run folder besides its record and checkpoints."""
    figures = FIGURES if recipe.evaluation.figures and stage.save_as == "model" else ()
    return [stage.save_as, *figures] if stage.save_as else []


class _Clock:
    """Seconds of a stage, those of earlier sessions included."""

    def __init__(self) -> None:
        self.before = 0.0
        self._began = time.monotonic()

    def elapsed(self) -> float:
        return round(self.before + time.monotonic() - self._began, 3)
