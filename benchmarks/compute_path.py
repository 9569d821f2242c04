"""What the default, the CPU kernels, gains over plain PyTorch: prompts and decoding of a model of quickstart size.

    python benchmarks/compute_path.py [MODEL] [--rounds 7]

Without MODEL the weights are random, of the `tiny` shape that the quickstart trains. Both engines are in one process,
on one thread, and take turns in each round; a ratio is made within a round, and its median is told with its range.
Time is the processor's, so that what else it runs matters less.
"""

import argparse
import os
import random
import statistics
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch

from baleen.config import EngineConfig, ModelConfig, SamplingParams
from baleen.engine import Engine
from baleen.model import Transformer, load_model

PROMPT, CONTEXT, DECODED, STREAMS = 1024, 64, 64, 16  # tokens, and answers at once


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?", help="model folder")
    parser.add_argument("--rounds", type=int, default=7, help="timed repetitions of each way")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model) if options.model else untrained()
    engines = {
        backend: Engine(model, EngineConfig(backend=backend, enable_prefix_caching=False))
        for backend in ("torch", "auto")
    }
    for engine in engines.values():
        print(engine.compute_path)
    for name, count, length, tokens in (
        ("prompt", 1, PROMPT, 1),
        ("decoding, one answer", 1, CONTEXT, DECODED),
        (f"decoding, {STREAMS} answers at once", STREAMS, CONTEXT, DECODED),
    ):
        rates: dict[str, list[float]] = {backend: [] for backend in engines}
        for number in range(options.rounds + 1):
            for backend, engine in engines.items():
                rate = timed(engine, count, length, tokens, seed=number)
                if number:  # the first call of a kind allocates
                    rates[backend].append(rate)
        gains = [ours / plain for plain, ours in zip(rates["torch"], rates["auto"], strict=True)]
        plain, ours = (statistics.median(rates[backend]) for backend in ("torch", "auto"))
        print(
            f"{name}: plain {plain:,.0f} tokens/s, kernels {ours:,.0f}; "
            f"{statistics.median(gains):.1f} times ({min(gains):.1f}-{max(gains):.1f})"
        )


def untrained() -> Transformer:
    return Transformer(ModelConfig.preset("tiny")).initialize(torch.Generator().manual_seed(0)).eval()


def timed(engine: Engine, count: int, length: int, tokens: int, seed: int) -> float:
    """Tokens a second: of the prompt where one token is sampled, else of those after the first."""
    draw = random.Random(seed)
    vocab = engine.model.config.vocab_size
    params = SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True)
    ids = [
        engine.add_request([draw.randrange(3, vocab) for _ in range(length)], params) for _ in range(count)
    ]
    start = time.process_time()
    sampled = 0
    if tokens > 1:
        while not sampled:  # the prompts are no part of decoding
            sampled += len(engine.step())
        start = time.process_time()
    while engine.has_unfinished():
        engine.step()
    seconds = time.process_time() - start
    for request_id in ids:
        engine.discard(request_id)
    return (length if tokens == 1 else count * tokens - sampled) / seconds


if __name__ == "__main__":
    main()
