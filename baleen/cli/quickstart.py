"""`baleen quickstart`: from nothing to a base model with DeepSeek sparse attention, in one command."""

import math
import random
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from baleen.config.errors import UserError

if TYPE_CHECKING:
    from baleen.config.stages import BaseRecipe

RECIPES = Path(__file__).parents[2] / "recipes"
STAGES = ("pretrain", "dsa_warmup", "dsa_sparse")


@dataclass(frozen=True)
class Options:
    """Train a tiny model: pre-training, dense warm-up of the indexers, sparse training. The same command resumes."""

    out: Path = Path("runs/quickstart")
    """Folder of the run."""
    smoke: bool = False
    """A few steps of each stage: checks that everything works, learns next to nothing."""
    seed: int = 0
    threads: int = 2
    """Workers, one core each."""
    text: Path | None = None
    """File or folder of text to train on besides the standard library of this Python."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen quickstart`. Returns 1 when a gate failed. Raises UserError, OSError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen quickstart")
    if options.threads < 1:
        raise UserError(f"--threads is {options.threads}; give at least 1")
    from baleen.cli.progress import Progress
    from baleen.cli.run_folder import RunFolder
    from baleen.config.recipe import load_toml
    from baleen.config.stages import BaseRecipe

    recipe_file = RECIPES / ("smoke.toml" if options.smoke else "tiny.toml")
    recipe = load_toml(recipe_file, BaseRecipe, {"seed": options.seed})
    with (
        RunFolder(options.out, recipe, seed=options.seed, threads=options.threads) as run,
        Progress(list(STAGES)) as progress,
    ):
        passed = _Quickstart(recipe, options, run, progress).run()
    from baleen.evaluation.report import write_report

    print(f"model: {options.out / 'model'}\nreport: {write_report(options.out)}")
    return 0 if passed or options.smoke else 1  # a smoke run shows its gates; it cannot meet them


class _Quickstart:
    """The stages in order; what a stage needs of the others is on disk, so any of them can be resumed."""

    def __init__(self, recipe: "BaseRecipe", options: Options, run: Any, progress: Any) -> None:
        import torch

        from baleen.config import ModelConfig
        from baleen.data import Mixture, load_corpus
        from baleen.model import Transformer
        from baleen.train import Workers

        self.recipe, self.out, self.folder, self.progress = recipe, options.out, run, progress
        self.workers = Workers(options.threads)
        corpus = load_corpus(options.text, recipe.text_bytes)
        self.tokenizer = self._tokenizer(corpus.train)
        self.train_data = Mixture(
            self.tokenizer, corpus.train, _drawer("train"), recipe.seed, recipe.text_share
        )
        heldout = Mixture(self.tokenizer, corpus.heldout, _drawer("heldout"), recipe.seed, 0.5)
        self.heldout_rows = heldout.batch("heldout", 0, 16, 256)  # the first half is real text
        config = ModelConfig.preset(
            recipe.preset, vocab_size=self.tokenizer.vocab_size, sparse_attention=False
        )
        self.model: Transformer = Transformer(config).initialise(torch.Generator().manual_seed(recipe.seed))
        self.stopping = False
        signal.signal(signal.SIGINT, self._stop)

    def _stop(self, *_: object) -> None:
        if self.stopping:
            raise KeyboardInterrupt
        self.stopping = True
        self.progress.message("stopping after this step; the same command goes on from there")

    def run(self) -> bool:
        """Whether all gates passed."""
        from baleen.model import save_model

        passed, summary = True, {}
        for stage in STAGES:
            stage_passed, summary = self._stage(stage, summary)
            passed &= stage_passed
        save_model(self.model, self.out / "model")
        return passed

    def _tokenizer(self, texts: list[str]) -> Any:
        from baleen.chat import Tokenizer, train_tokenizer

        folder = self.out / "model"
        if (folder / "tokenizer_config.json").exists():
            return Tokenizer.from_pretrained(folder)
        rng = random.Random(self.recipe.seed)
        draw = _drawer("train")
        tasks = ["".join(draw(rng)) for _ in range(3000)]
        return train_tokenizer([*texts, *tasks], self.recipe.vocab_size, folder)

    def _stage(self, name: str, before: dict[str, float]) -> tuple[bool, dict[str, float]]:
        """Whether the gates passed, and the held-out figures after the stage; `before` are the last stage's."""
        from baleen.train import Checkpoints, Interrupted, Surroundings, train
        from baleen.train.heldout import with_attention

        stage = getattr(self.recipe, name)
        if name == "dsa_sparse":
            before = before | self._random_indexer_loss()
            self.model = with_attention(self.model, True)
        checkpoints = Checkpoints(self.folder.checkpoints / name)
        self.progress.start_stage(name, stage.steps)
        began = time.monotonic()

        def log(step: int, scalars: dict[str, float]) -> None:
            self.folder.log_metrics(name, step, **scalars)
            self.progress.update(step + 1, **scalars)

        def resumed(done: int) -> None:
            self.folder.truncate_metrics(name, done - 1)

        def batches(step: int) -> Any:
            return self.train_data.batch(name, step, stage.rows, stage.length)

        try:
            train(
                self.model,
                stage,
                batches,
                Surroundings(self.workers, checkpoints, log, lambda: self.stopping, resumed),
            )
        except Interrupted:
            raise KeyboardInterrupt from None
        summary = self._heldout()
        gates = [] if name == "pretrain" else _gates(name, before, summary)
        passed = all(gate["passed"] for gate in gates)
        done = self.folder.read_stage(name) or {}
        self.folder.write_stage(
            name,
            {
                "stage": name,
                "seconds": done.get("seconds") or time.monotonic() - began,
                "steps": stage.steps,
                "tokens": stage.steps * stage.rows * stage.length,
                "bits_per_byte": self._bits_per_byte(),
                "summary": {f"{key}_first": value for key, value in before.items()} | summary,
                "gates": gates,
                "evals": [],
                "samples": [],
            },
        )
        self.progress.finish_stage(passed, "; ".join(f"{g['name']} {g['value']:.3g}" for g in gates))
        return passed, summary

    def _heldout(self) -> dict[str, float]:
        from baleen.train.heldout import heldout_loss, indexer_fit

        kl, recall = indexer_fit(self.model, self.heldout_rows)
        losses = {
            f"{kind}_loss": heldout_loss(self.model, self.heldout_rows, kind == "sparse")
            for kind in ("dense", "sparse")
        }
        return losses | {"kl": kl, "recall": recall}

    def _random_indexer_loss(self) -> dict[str, float]:
        import torch

        from baleen.train.heldout import heldout_loss, with_random_indexers

        twin = with_random_indexers(self.model, torch.Generator().manual_seed(1))
        return {"random_indexer_loss": heldout_loss(twin, self.heldout_rows, True)}

    def _bits_per_byte(self) -> float:
        """Held-out real text under the model as it attends now."""
        from baleen.data.packing import first_rows
        from baleen.train.heldout import heldout_loss

        text = first_rows(self.heldout_rows, len(self.heldout_rows.token_ids) // 2)
        ids = text.token_ids.flatten().tolist()
        size = len(self.tokenizer.decode(ids).encode("utf-8", "replace"))
        loss = heldout_loss(self.model, text, self.model.config.sparse_attention)
        return loss * len(ids) / size / math.log(2)


def _drawer(split: Any) -> Callable[[random.Random], tuple[str, str]]:
    """Draws a task of any family and difficulty as (question, solution) text."""
    from baleen.environments import FAMILIES, STYLES, plain_text, sample_task

    def draw(rng: random.Random) -> tuple[str, str]:
        family = FAMILIES[rng.choice(sorted(FAMILIES))]
        task = sample_task(family.name, rng.choice(family.difficulties), rng, split)
        question, solution = plain_text(task, rng.choice(STYLES)).split("\n", 1)
        return question, "\n" + solution

    return draw


def _gates(name: str, before: dict[str, float], after: dict[str, float]) -> list[dict[str, Any]]:
    if name == "dsa_warmup":
        wanted = [
            (
                "indexer KL, times smaller",
                before["kl"] / after["kl"],
                3.0,
                ">=",
                "raise dsa_warmup.steps or its adam_lr",
            ),
            (
                "attention mass in the top-k",
                after["recall"],
                0.8,
                ">=",
                "raise dsa_warmup.steps or index_topk",
            ),
        ]
    else:
        wanted = [
            (
                "sparse over dense loss",
                after["sparse_loss"] / after["dense_loss"],
                1.05,
                "<=",
                "raise dsa_sparse.steps",
            ),
            (
                "random-indexer over trained loss",
                before["random_indexer_loss"] / after["sparse_loss"],
                1.2,
                ">=",
                "is attention too local to need choosing? raise index_topk's pressure with longer rows",
            ),
        ]
    return [
        {
            "name": n,
            "value": v,
            "limit": x,
            "relation": r,
            "passed": v >= x if r == ">=" else v <= x,
            "hint": h,
        }
        for n, v, x, r, h in wanted
    ]
