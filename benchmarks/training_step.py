"""How long a step of the quickstart's supervised stages takes, with the compiled kernels and without, side by side.

    python benchmarks/training_step.py [--stages pretrain,sft] [--rounds 5] [--steps 3] [--threads 1]

Each round runs both ways, one after the other, in processes of their own. Prints seconds per step, and the ratio of
each round with the median and the range of all.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from baleen.bench.contender import pinned

WAYS = {"kernels": {}, "plain": {"BALEEN_KERNELS": "off"}}


def seconds_per_step(stage_name: str, steps: int, threads: int) -> float:
    """Of the mean step, after one that is not counted; weights are random, data as in the recipe."""
    import torch

    from baleen.config import ModelConfig
    from baleen.config.recipe import load_recipe
    from baleen.config.shipped import find_recipe
    from baleen.config.stages import SupervisedStage
    from baleen.data import load_corpus, text_tokens
    from baleen.model import Transformer
    from baleen.stages.batches import supervised_batches
    from baleen.stages.curriculum import tokenizer_of
    from baleen.train import Checkpoints, StageContext, Workers, train

    recipe = load_recipe(find_recipe("tiny"))
    stage = recipe.stage(stage_name).model_copy(update={"steps": steps + 1, "checkpoint_every": steps + 1})
    assert isinstance(stage, SupervisedStage), f"{stage_name} learns from rollouts"
    texts = load_corpus(None, 300_000).train
    with tempfile.TemporaryDirectory() as folder:
        tokenizer = tokenizer_of(Path(folder, "tokenizer"), recipe, texts)
        sparse = stage.kind not in ("pretrain", "index_warmup")
        config = ModelConfig.preset("tiny", vocab_size=tokenizer.vocab_size, sparse_attention=sparse)
        model = Transformer(config).initialize(torch.Generator().manual_seed(0))
        ends: list[float] = []
        context = StageContext(
            Workers(threads),
            Checkpoints(Path(folder, "c")),
            lambda step, scalars: ends.append(time.perf_counter()),
        )
        batches = supervised_batches(recipe, stage, tokenizer, text_tokens(tokenizer, texts))
        train(model, stage, batches, context)
    return (ends[-1] - ends[0]) / steps


def main(words: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--stages", default="pretrain,dsa_sparse,sft")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--steps", type=int, default=3, help="timed in each round (3)")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--one", help=argparse.SUPPRESS)
    given = options.parse_args(words)
    if given.one:
        print(json.dumps(seconds_per_step(given.one, given.steps, given.threads)))
        return 0
    print(f"threads {given.threads}, OMP_WAIT_POLICY PASSIVE, {given.rounds} rounds of {given.steps} steps")
    for stage in given.stages.split(","):
        times: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(given.rounds):
            for way, settings in WAYS.items():
                command = [sys.executable, __file__, "--one", stage, "--steps", str(given.steps)]
                done = subprocess.run(
                    [*command, "--threads", str(given.threads)],
                    env=os.environ | pinned(1) | settings,
                    capture_output=True,
                    text=True,
                    check=True,
                )
                times[way].append(json.loads(done.stdout.splitlines()[-1]))
        ratios = [plain / fast for plain, fast in zip(times["plain"], times["kernels"], strict=True)]
        fast, plain = (statistics.median(times[way]) for way in ("kernels", "plain"))
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(
            f"{stage}: {fast:.3f} s with kernels, {plain:.3f} s without; {statistics.median(ratios):.2f} ({spread})"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
