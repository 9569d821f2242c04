"""The quickstart's stages, each from its parent's checkpoint: what a stage needs of the others is on disk."""

import dataclasses
import shutil
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from baleen.agent import Trajectory
from baleen.bench.decode_cost import decode_cost
from baleen.chat import Tokenizer
from baleen.config import ModelConfig, UserError
from baleen.config.stages import (
    DataMix,
    DistillStage,
    PretrainStage,
    Recipe,
    RLStage,
    SupervisedStage,
)
from baleen.data import Corpus, Document, Mixture, text_tokens
from baleen.data.packing import Packed, first_rows
from baleen.environments import Task
from baleen.model import Transformer, save_model, with_attention
from baleen.rl import play_groups, train_rl
from baleen.runs.clean_stop import CleanStop
from baleen.runs.files import write_json
from baleen.runs.run_folder import RunFolder
from baleen.stages import acceptance, curriculum, measure
from baleen.stages.checks import brief, judged, overall
from baleen.stages.lineage import BASE, EXPORTS, PARENTS
from baleen.stages.listener import StageListener
from baleen.stages.selection import selection
from baleen.train import CheckpointError, Checkpoints, Interrupted, Surroundings, Workers, train

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


class Pipeline:
    """Runs stages in an open run folder. Raises UserError, OSError."""

    def __init__(
        self,
        recipe: Recipe,
        folder: RunFolder,
        listener: StageListener,
        threads: int,
        corpus: Corpus,
        stop: CleanStop,
    ):
        self.recipe, self.folder, self.listener, self.stop = recipe, folder, listener, stop
        self.workers = Workers(threads)
        self.tokenizer = self._tokenizer(corpus)
        self.text = text_tokens(self.tokenizer, corpus.train)
        self.heldout_rows = self._heldout_rows(corpus)
        self.heldout_text = first_rows(self.heldout_rows, len(self.heldout_rows.token_ids) // 2)
        evaluation = recipe.evaluation
        asked = {
            family: (*evaluation.tasks.get(family, ()), *evaluation.hard.get(family, ()))
            for family in {**evaluation.tasks, **evaluation.hard}
        }
        self.tasks = curriculum.held_out_tasks(asked, evaluation.attempts, recipe.seed, self.folder.log)

    def run(self, stages: Sequence[str]) -> None:
        """Run those of `stages` that are not done yet. Raises Stopped after a signal, once a step is saved."""
        for name in stages:
            record = self.folder.read_stage(name)
            if record is None:
                self.stop.raise_if_heard()
                self._run_stage(name)
                continue
            if not all((self.folder.path / left).exists() for left in EXPORTS.get(name, ())):
                self._export(name, self.model_after(name))
            self.listener.skip_stage(name, overall(record["checks"]))

    def _run_stage(self, name: str) -> None:
        stage = getattr(self.recipe, name)
        model = self._begin(name)
        self.listener.start_stage(name, stage.steps)
        clock = _Clock()
        around = self._surroundings(name, clock)
        try:
            if isinstance(stage, RLStage):
                train_rl(model, self.tokenizer, stage, self._rl_tasks(name, stage), around, self.recipe.seed)
            else:
                train(model, stage, self._batches(name, stage), around)
        except Interrupted:
            self.stop.raise_if_heard()
            raise
        record: dict[str, Any] = {
            "stage": name,
            "steps": stage.steps,
            "tokens": self._tokens(name, stage),
            "samples": [],
            "evals": [],
        }
        record |= self._measured(name, model)
        record["seconds"] = clock.elapsed()
        self._export(name, model)
        self.folder.write_stage(name, record)  # last: a stage with a record has left all that it leaves
        told = [f"{record['bits_per_byte']:.3f} bits/byte", *map(brief, record["checks"])]
        self.listener.finish_stage(overall(record["checks"]), "; ".join(told))

    def model_after(self, name: str) -> Transformer:
        """The model that a finished stage left. Raises UserError where it has not run, or its model is damaged."""
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
        """The run's tokenizer, learned once. Raises UserError where it is gone and a stage was trained with it."""
        folder = self.folder.checkpoints / "tokenizer"
        lost = [file for file in TOKENIZER_FILES if not (folder / file).exists()]
        trained = [name for name in PARENTS if (self.folder.checkpoints / name).exists()]
        if lost and trained:
            raise UserError(
                f"{folder / lost[0]} is missing, and {trained[0]} was trained with it; copy "
                f"{' and '.join(TOKENIZER_FILES)} there from {self.folder.path}/model or model-sft, "
                f"or start again in another folder with --out"
            )
        return curriculum.tokenizer_of(folder, self.recipe, corpus.train)

    def _begin(self, name: str) -> Transformer:
        parent = PARENTS[name]
        if parent is None:
            return self._empty_model(name).initialise(torch.Generator().manual_seed(self.recipe.seed))
        return with_attention(self.model_after(parent), _is_sparse(name))

    def _empty_model(self, name: str) -> Transformer:
        sizes = self.recipe.sizes | {
            "vocab_size": self.tokenizer.vocab_size,
            "sparse_attention": _is_sparse(name),
        }
        return Transformer(ModelConfig.preset(self.recipe.preset, **sizes))

    def _tokens(self, name: str, stage: SupervisedStage | RLStage) -> int:
        """Tokens that a supervised stage trained on, or that an RL stage sampled."""
        if not isinstance(stage, RLStage):
            return stage.steps * stage.rows * stage.length
        return sum(line["sampled_tokens"] for line in self.folder.metrics() if line["stage"] == name)

    def _surroundings(self, name: str, clock: "_Clock") -> Surroundings:
        def log(step: int, scalars: dict[str, float]) -> None:
            self.folder.log_metrics(name, step, **scalars, elapsed=clock.elapsed())
            self.listener.update(step + 1, **scalars)

        def resumed(done: int) -> None:
            self.folder.truncate_metrics(name, done - 1)
            earlier = [line["elapsed"] for line in self.folder.metrics() if line["stage"] == name]
            clock.before = earlier[-1] if earlier else 0.0

        checkpoints = Checkpoints(self.folder.checkpoints / name, self._tell)
        return Surroundings(self.workers, checkpoints, log, lambda: self.stop.heard, resumed, self._tell)

    def _tell(self, line: str) -> None:
        self.folder.log(line)
        self.listener.message(line)

    def _heldout_rows(self, corpus: Corpus) -> Packed:
        """Sixteen rows, the first half real text, the second tasks."""
        draw = curriculum.demonstrations(self.tokenizer, self.recipe.long_data, "heldout")
        mixture = Mixture(text_tokens(self.tokenizer, corpus.heldout), 0.5, draw, self.recipe.seed)
        return mixture.batch("heldout", 0, 16, 512)

    def _batches(self, name: str, stage: SupervisedStage) -> Callable[[int], Packed]:
        """The data of each step of a supervised stage."""
        if isinstance(stage, PretrainStage):
            short, long = self._mixture(self.recipe.base_data), self._mixture(self.recipe.long_data)
            extended_rows = max(1, stage.rows * stage.length // stage.extension_length)

            def batch(step: int) -> Packed:
                if step < stage.copy_steps:
                    draw = curriculum.first_copies(self.tokenizer, step / stage.copy_steps)
                    copies = Mixture(self.text, 0.0, draw, self.recipe.seed)
                    return copies.batch(name, step, stage.rows, stage.length)
                if step < stage.steps - stage.extension_steps:
                    return short.batch(name, step, stage.rows, stage.length)
                return long.batch(name, step, extended_rows, stage.extension_length)

            return batch
        if isinstance(stage, DistillStage):
            mixture = self._mixture(self.recipe.distill_data)
            draw = curriculum.either(self._solved_by_specialists(stage), mixture.draw, stage.demonstrations)
            mixture = dataclasses.replace(mixture, draw=draw)
        else:
            mixture = self._mixture(self.recipe.long_data if name in BASE else self.recipe.chat_data)
        return lambda step: mixture.batch(name, step, stage.rows, stage.length)

    def _mixture(self, mix: DataMix) -> Mixture:
        draw = curriculum.demonstrations(self.tokenizer, mix)
        return Mixture(self.text, mix.text_share, draw, self.recipe.seed)

    def _solved_by_specialists(self, stage: DistillStage) -> list[Document]:
        """What the specialists solved of fresh tasks, and beside it, of some, the tersest that the SFT model solved.

        Without the terse ones the student thinks at full length always, and a length penalty finds nothing to prefer.
        """
        solved: list[Trajectory] = []
        sft = self.model_after("sft")
        for domain, prompts in stage.prompts.items():
            key = (self.recipe.seed, "distill", domain)
            stage_of = getattr(self.recipe, f"specialist_{domain}").model_copy(update={"group": stage.group})
            others = self.recipe.chat_data.tasks
            tasks = curriculum.drawn_tasks(stage_of.tasks, prompts, key, stage.follow_ups, others)
            specialist = self.model_after(f"specialist_{domain}")
            for teacher, share in ((specialist, 1.0), (sft, stage.terse)):
                asked = tasks[: round(share * len(tasks))]
                groups = play_groups(teacher, self.tokenizer, stage_of, asked, key)
                for group in groups.trajectories:
                    right = sorted(
                        (one for one in group if one.reward == 1.0), key=lambda one: one.think_tokens
                    )
                    solved += right[:1] if teacher is sft else right
        return curriculum.documents_of(solved)

    def _rl_tasks(self, name: str, stage: RLStage) -> Callable[[int], list[Task]]:
        return lambda step: curriculum.drawn_tasks(
            stage.tasks, stage.prompts, (self.recipe.seed, name, step), stage.follow_ups
        )

    def _measured(self, name: str, model: Transformer) -> dict[str, Any]:
        """Everything about the finished stage that its record holds besides the training."""
        load = measure.expert_load(model, self.heldout_rows)
        found: dict[str, Any] = {
            "bits_per_byte": measure.bits_per_byte(model, self.heldout_text, self.tokenizer),
            "expert_load": load,
            "summary": {},
        }
        if name in BASE:
            figures = measure.indexer_figures(model, self.heldout_rows)
            before = self._record(PARENTS[name])["summary"] if PARENTS[name] else figures
            found["summary"] = figures | {"kl_first": before["kl"], "kl_last": figures["kl"]}
            checks = {
                "pretrain": lambda: acceptance.pretrain_checks(load),
                "dsa_warmup": lambda: acceptance.warmup_checks(before, figures),
                "dsa_sparse": lambda: acceptance.sparse_checks(before, figures),
            }[name]()
            return found | {"checks": judged(checks, self.recipe)}
        benchmark = measure.solve(model, self.tokenizer, self.tasks, self.recipe.evaluation, "thinking")
        answers = measure.answers_of(benchmark)
        hard = self.recipe.evaluation.hard
        evals = [row | {"hard": acceptance.is_hard(row, hard)} for row in benchmark.rows()]
        found |= {"answers": answers, "evals": evals, "samples": benchmark.samples()}
        checks, told = acceptance.answer_checks(
            name, answers, hard, lambda stage: self._record(stage)["answers"]
        )
        return found | {"checks": judged(checks, self.recipe)} | told

    def _record(self, name: str | None) -> dict[str, Any]:
        record = self.folder.read_stage(name) if name else None
        if record is None:
            raise self._unfinished(name)
        return record

    def _unfinished(self, name: str | None) -> UserError:
        return UserError(f"stage {name} has not finished in {self.folder.path}; add it to --stages")

    def _export(self, name: str, model: Transformer) -> None:
        """Write what a finished stage leaves beside its checkpoint: a model to use, and what the report shows of it."""
        path = self.folder.path
        for left in EXPORTS.get(name, ()):
            if left == "cost.json":
                write_json(path / left, decode_cost(model))
            elif left == "selection.json":
                text = self.heldout_text.token_ids[0].tolist()
                write_json(path / left, selection(model, self.tokenizer, text, self.recipe.seed))
            else:
                save_model(model, path / left)
                for file in TOKENIZER_FILES:
                    shutil.copyfile(self.folder.checkpoints / "tokenizer" / file, path / left / file)


def _is_sparse(stage: str) -> bool:
    """Whether attention reads only the selected tokens during `stage`."""
    return stage not in ("pretrain", "dsa_warmup")


class _Clock:
    """Seconds of a stage, those of earlier sessions included."""

    def __init__(self) -> None:
        self.before = 0.0
        self._began = time.monotonic()

    def elapsed(self) -> float:
        return round(self.before + time.monotonic() - self._began, 3)
