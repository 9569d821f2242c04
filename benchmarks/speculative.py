"""Speculative decoding with the MTP layer: drafts accepted and decode speed, for each family of tasks.

    python benchmarks/speculative.py runs/quickstart/model --json runs/speculative.json

Held-out tasks of the quickstart's evaluation are answered with and without drafts, in turn in each round, on one
thread. A task with tools gives several prompts: one for each answer of its scripted solution. The prompts are cached
before the clock runs, so that what is timed is decoding. With the CPU kernels both ways must give equal bits.
"""

import argparse
import json
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from baleen.chat import Tokenizer, encode_pieces
from baleen.config import EngineConfig, SamplingParams
from baleen.engine import Engine, GenerationResult
from baleen.environments import demonstrate, sample_task
from baleen.evaluation import wilson
from baleen.model import load_model
from baleen.model.backends.cpu import can_prepack

TASKS = {"sum": (3, 3, 4), "program": (1, 2, 3), "calculator": (1,), "lookup": (1, 2)}  # as recipes/tiny.toml


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="model folder with an MTP layer")
    parser.add_argument("--tasks", type=int, default=32, help="of each family")
    parser.add_argument("--rounds", type=int, default=5, help="timed repetitions of each way")
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="prompts at once")
    parser.add_argument("--temperature", type=float, nargs="+", default=[0.0, 1.0])
    parser.add_argument("--json", type=Path, help="write the figures there too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model, tokenizer = load_model(options.model), Tokenizer.from_pretrained(options.model)
    print("CPU kernels" if can_prepack() else "plain PyTorch")
    rows: list[dict[str, Any]] = []
    for batch in options.batch:
        engines = {
            drafts: Engine(
                model,
                EngineConfig(speculative=drafts, max_num_seqs=batch),
                tokenizer.eos_token_id,
            )
            for drafts in (False, True)
        }
        for temperature in options.temperature:
            for family in TASKS:
                asked = prompts(tokenizer, family, options.tasks)
                row = compare(engines, asked, temperature, options.rounds)
                rows.append({"family": family, "temperature": temperature, "batch": batch, **row})
                print(told(rows[-1]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")


def prompts(tokenizer: Tokenizer, family: str, tasks: int) -> list[list[int]]:
    """The prompt of every answer in the scripted solutions of `tasks` held-out tasks."""
    rng = random.Random(0)
    found = []
    for number in range(tasks):
        difficulties = TASKS[family]
        task = sample_task(family, difficulties[number % len(difficulties)], rng, "heldout")
        said = [*task.messages, *demonstrate(task, "full")]
        found += [said[:place] for place, message in enumerate(said) if message["role"] == "assistant"]
    return [tokenizer.encode_pieces(encode_pieces(messages, "thinking")) for messages in found]


def compare(
    engines: dict[bool, Engine], asked: list[list[int]], temperature: float, rounds: int
) -> dict[str, Any]:
    """Drafts checked and accepted, and times as fast with them: the median of the rounds, least and most."""
    params = [SamplingParams(max_tokens=96, temperature=temperature, seed=i) for i in range(len(asked))]
    with_drafts = engines[True]
    drafted, accepted = with_drafts.num_drafted, with_drafts.num_accepted
    outputs = {drafts: engine.generate(asked, params) for drafts, engine in engines.items()}  # caches prompts
    drafted, accepted = with_drafts.num_drafted - drafted, with_drafts.num_accepted - accepted
    equal = list(map(sampled, outputs[False])) == list(map(sampled, outputs[True]))
    # Plain PyTorch does not promise equal bits.
    assert equal or not can_prepack(), "drafts changed the output"
    ratios, speeds = [], []
    tokens = sum(len(result.token_ids) for result in outputs[True])
    for number in range(rounds):
        seconds = {}
        for drafts in (False, True) if number % 2 else (True, False):
            began = time.perf_counter()
            engines[drafts].generate(asked, params)
            seconds[drafts] = time.perf_counter() - began
        ratios.append(seconds[False] / seconds[True])
        speeds.append(tokens / seconds[True])
    share = wilson(accepted, drafted)
    return {
        "equal": equal,
        "drafted": drafted,
        "accepted": share.estimate,
        "accepted_low": share.low,
        "accepted_high": share.high,
        "times_as_fast": statistics.median(ratios),
        "least": min(ratios),
        "most": max(ratios),
        "tokens_per_second": statistics.median(speeds),
    }


def sampled(result: GenerationResult) -> tuple[list[int], list[float]]:
    return result.token_ids, result.logprobs


def told(row: dict[str, Any]) -> str:
    return (
        f"{row['family']:10} temperature {row['temperature']:g}, {row['batch']} at once: "
        f"{row['accepted']:.1%} of {row['drafted']} drafts accepted "
        f"(95 % {row['accepted_low']:.1%} to {row['accepted_high']:.1%}), "
        f"{row['times_as_fast']:.2f} times as fast ({row['least']:.2f} to {row['most']:.2f}), "
        f"{row['tokens_per_second']:,.0f} tokens/s, output {'equal to the bit' if row['equal'] else 'differs'}"
    )


if __name__ == "__main__":
    main()
