"""Speculative decoding with the MTP layer on a trained model: drafts accepted, speed-up, and that the output is equal.

    python benchmarks/speculative.py runs/quickstart/model --tasks 64 --rounds 5

The same held-out tasks are answered with and without drafts, in turn in each round, on one thread.
"""

import argparse
import os
import random
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from baleen.chat import Tokenizer, encode_pieces
from baleen.config import EngineConfig, SamplingParams
from baleen.engine import Engine, GenerationResult
from baleen.environments import sample_task
from baleen.model import load_model

TASKS = {"sum": (3, 4), "program": (2, 3), "calculator": (1,), "lookup": (1, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="model folder with an MTP layer")
    parser.add_argument("--tasks", type=int, default=64, help="prompts")
    parser.add_argument("--rounds", type=int, default=5, help="timed repetitions of each way")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16], help="prompts at once")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load_model(options.model), Tokenizer.from_pretrained(options.model)
    prompts = [prompt(tokenizer, random.Random(i)) for i in range(options.tasks)]
    for temperature in (0.0, 1.5):
        params = [SamplingParams(max_tokens=96, temperature=temperature, seed=i) for i in range(len(prompts))]
        for batch in options.batch:
            engines = {
                drafts: Engine(
                    model,
                    EngineConfig(
                        speculative=drafts, weights="float32", max_num_seqs=batch, enable_prefix_caching=False
                    ),
                    tokenizer.eos_token_id,
                )
                for drafts in (False, True)
            }
            times: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(options.rounds):
                outputs = {}
                for drafts, engine in engines.items():
                    began = time.perf_counter()
                    outputs[drafts] = engine.generate(prompts, params)
                    times[drafts].append(time.perf_counter() - began)
                assert list(map(told, outputs[False])) == list(map(told, outputs[True])), (
                    "drafts changed the output"
                )
            ratios = [plain / drafted for plain, drafted in zip(times[False], times[True], strict=True)]
            engine = engines[True]
            print(
                f"temperature {temperature}, {batch} at once: {engine.num_accepted} of {engine.num_drafted} drafts "
                f"accepted ({engine.num_accepted / engine.num_drafted:.0%}), {statistics.median(ratios):.2f} times as "
                f"fast ({min(ratios):.2f}-{max(ratios):.2f}), output equal to the bit"
            )


def prompt(tokenizer: Tokenizer, rng: random.Random) -> list[int]:
    family = rng.choice(list(TASKS))
    task = sample_task(family, rng.choice(TASKS[family]), rng, "heldout")
    return tokenizer.encode_pieces(encode_pieces(list(task.messages), "thinking"))


def told(result: GenerationResult) -> tuple[list[int], list[float]]:
    return result.token_ids, result.logprobs


if __name__ == "__main__":
    main()
