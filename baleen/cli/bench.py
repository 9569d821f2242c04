"""`baleen bench`: how fast the engine is, against the machine's roofline and, if asked, against its peers."""

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from baleen.cli.bench_options import (
    LOAD_PROMPT,
    LOAD_TOKENS,
    OURS,
    Options,
    asked_peers,
    check_llama_cpp,
    fitted,
    longest_sequence,
)
from baleen.cli.loading import usable_threads
from baleen.config import EngineConfig, ModelConfig, UsageError, UserError
from baleen.runs.files import write_atomic, write_json

if TYPE_CHECKING:
    from baleen.cost.roofline import Roofline

GGUF = "model.gguf"


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen bench`. Returns 0, or 1 when a peer failed or disagreed. Raises UserError, ContenderError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen bench")
    peers = asked_peers(options)
    config, name = _config(options)
    options = replace(fitted(options, config), threads=usable_threads(options.threads))
    if not options.plain:
        _require_kernels()
    if "llama.cpp" in peers:
        check_llama_cpp(config)
    figures = measure(options, config, name, peers)
    from baleen.cli.bench_tables import show

    show(figures)
    if options.json is not None:
        write_json(options.json, figures)
        print(f"wrote {options.json}")
    if options.plot is not None:
        from baleen.report import bench_plots, theme

        write_atomic(
            options.plot, theme.standalone(bench_plots.speeds(figures), f"Speed of {figures['model']}") + "\n"
        )
        print(f"wrote {options.plot}")
    return int(bool(figures["failures"]) or not all(row["equal"] for row in figures["agreement"]))


def _config(options: Options) -> tuple[ModelConfig, str]:
    """The config that is measured, and its name. Raises UserError, UsageError unless exactly one is given."""
    from baleen.cli.loading import model_folder, model_name

    if (options.model is None) == (options.shape is None):
        raise UsageError("give either a model folder or --shape 400m, 140m or tiny")
    if options.model is not None:
        if options.keep is not None:
            raise UsageError("--keep is for the model of --shape; MODEL has its folder")
        folder = model_folder(options.model)
        return ModelConfig.from_pretrained(folder), model_name(folder)
    assert options.shape is not None, "one of the two is given"
    if options.keep is not None and options.keep.exists() and any(options.keep.iterdir()):
        raise UserError(f"{options.keep} is not empty; give a new folder, or measure what it holds as MODEL")
    from baleen.cli.bench_shapes import shape

    return shape(options.shape), f"{options.shape}, random weights"


def _require_kernels() -> None:
    from baleen.ops import cpu

    if reason := cpu.missing():
        raise UserError(
            f"the CPU kernels cannot be measured: {reason}; or measure plain PyTorch with --plain"
        )


def measure(options: Options, config: ModelConfig, name: str, peers: list[str]) -> dict[str, Any]:
    """Everything that the command shows and writes, as one JSON object; times in seconds, rates by the second."""
    from baleen.cli.bench_agreement import agreement
    from baleen.cli.bench_rounds import Rounds, comparisons
    from baleen.cli.contenders.process import Served, pinned, start
    from baleen.cost.parameters import active_parameters, count_parameters
    from baleen.runs import machine

    _tell(f"{name}: {options.weights}, threads {options.threads}, rounds {options.repeats}")
    with tempfile.TemporaryDirectory(prefix="baleen-bench-") as temporary, ExitStack() as stack:
        folder, roofline, rates = _prepare(options, config, peers, Path(temporary))
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
            _tell(f"{engine}: loading")
            contenders[engine] = start(stack, engine, served, options.threads, options.seconds)
        kernels = contenders[OURS].ask("kernels")["kernels"]
        rounds = Rounds(options, config, contenders, roofline, _tell)
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
    options: Options, config: ModelConfig, peers: list[str], temporary: Path
) -> tuple[Path, "Roofline", dict[str, Any]]:
    """The model's folder, the roofline of its type, and all measured rates; the GGUF file if it is needed."""
    from baleen.cli.contenders.process import Contender
    from baleen.cli.loading import model_folder
    from baleen.cost.roofline import Roofline

    with Contender("preparation", options.threads, options.seconds) as preparation:
        preparation.ask("load", threads=options.threads)
        if options.model is not None:
            folder = model_folder(options.model)
        else:
            folder = options.keep or temporary / "model"
            _tell(f"random weights, seed {options.seed}, to {folder}")
            made = {"config": config.model_dump(), "seed": options.seed, "folder": str(folder)}
            preparation.ask("make", **made, dtype="bfloat16" if options.weights == "bfloat16" else "float32")
        if "llama.cpp" in peers:
            preparation.ask("gguf", folder=str(folder), file=str(temporary / GGUF), weights=options.weights)
        _tell("memory bandwidth and matrix products of this machine")
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


def _tell(line: str) -> None:
    print(line, flush=True)
