"""One comparison of engines from its model folder to its figures."""

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from baleen.bench.agreement import agreement
from baleen.bench.contender import Contender, Served, pinned, start
from baleen.bench.options import LOAD_PROMPT, LOAD_TOKENS, OURS, Options, longest_sequence
from baleen.bench.rounds import Rounds, comparisons
from baleen.config import EngineConfig, ModelConfig
from baleen.cost.parameters import active_parameters, count_parameters
from baleen.cost.roofline import Roofline
from baleen.runs import machine

GGUF = "model.gguf"


def measure(
    options: Options, config: ModelConfig, name: str, peers: list[str], tell: Callable[[str], None]
) -> dict[str, Any]:
    """Everything that `baleen bench` shows and writes, as one JSON object; times in seconds, rates by the second.

    options.model: the model's folder; None for random weights. tell: hears what is under way. Raises ContenderError.
    """
    tell(f"{name}: {options.weights}, threads {options.threads}, rounds {options.repeats}")
    with tempfile.TemporaryDirectory(prefix="baleen-bench-") as temporary, ExitStack() as stack:
        folder, roofline, rates = _prepare(options, config, peers, Path(temporary), tell)
        agreed = []
        if peers:
            agreed = agreement(peers, options.plain, options.threads, options.seconds, Path(temporary))
        served = Served(
            folder,
            Path(temporary) / GGUF,
            options.weights,
            options.plain,
            config.vocab_size,
            _limits(options),
        )
        contenders = {}
        for engine in (OURS, *peers):
            tell(f"{engine}: loading")
            contenders[engine] = start(stack, engine, served, options.threads, options.seconds)
        kernels = contenders[OURS].ask("kernels")["kernels"]
        rounds = Rounds(options, config, contenders, roofline, tell)
        rounds.run()
    return {
        "model": name,
        "config": config.model_dump(),
        "parameters": {
            "total": count_parameters(config).total,
            "active": active_parameters(config, config.sparse_attention),
        },
        "settings": {
            field: str(value) if isinstance(value, Path) else value
            for field, value in asdict(options).items()
        },
        "environment": machine.describe(options.seed, options.threads) | {"pinned": pinned(options.threads)},
        "kernels": kernels,
        "roofline": rates,
        "agreement": [asdict(row) for row in agreed],
        "measurements": [row.figures() for row in rounds.rows.values()],
        "comparisons": [row.figures() for row in comparisons(rounds.rows)],
        "failures": rounds.failures,
    }


def _prepare(
    options: Options,
    config: ModelConfig,
    peers: list[str],
    temporary: Path,
    tell: Callable[[str], None],
) -> tuple[Path, Roofline, dict[str, Any]]:
    """The model's folder, the roofline of its type, and all measured rates; the GGUF file if it is needed."""
    with Contender("preparation", options.threads, options.seconds) as preparation:
        preparation.ask("load", threads=options.threads)
        if options.model is not None:
            folder = options.model
        else:
            folder = options.keep or temporary / "model"
            tell(f"random weights, seed {options.seed}, to {folder}")
            made = {"config": config.model_dump(), "seed": options.seed, "folder": str(folder)}
            preparation.ask("make", **made, dtype="bfloat16" if options.weights == "bfloat16" else "float32")
        if "llama.cpp" in peers:
            preparation.ask("gguf", folder=str(folder), file=str(temporary / GGUF), weights=options.weights)
        tell("memory bandwidth and matrix products of this machine")
        rates = preparation.ask("rates")
    flops = rates["flops"]["float32"]
    if options.weights != "float32":  # what is stored in few bits may be multiplied in either type
        flops = max(rates["flops"].values())
    return folder, Roofline(rates["bandwidth"], flops), rates


def _limits(options: Options) -> dict[str, int]:
    """The fields of `EngineConfig` that hold every measurement, and hardly more: the cache is memory."""
    block_size = EngineConfig().block_size
    longest = longest_sequence(options)
    request = -(-(LOAD_PROMPT + LOAD_TOKENS) // block_size)
    reserve = 2 * options.streams  # the scheduler keeps a block for everybody who runs
    return {
        "block_size": block_size,
        "num_blocks": 2 + -(-longest // block_size) + options.streams * request + reserve,
        "max_num_seqs": options.streams,
        "max_num_batched_tokens": options.chunk,
        "max_model_len": longest,
    }
