"""`baleen bench`: how fast the engine is, against the machine's roofline and, if asked, against its peers."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import tyro

from baleen.bench.options import Options, asked_peers, check_llama_cpp, fitted
from baleen.cli.loading import usable_threads
from baleen.config import ModelConfig, UsageError, UserError
from baleen.runs.files import write_atomic, write_json
from baleen.runs.model_folder import model_folder, model_name


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen bench`. Returns 0, or 1 when a peer failed or disagreed. Raises UserError, ContenderError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen bench")
    peers = asked_peers(options)
    config, name, folder = _config(options)
    options = replace(fitted(options, config), model=folder, threads=usable_threads(options.threads))
    if not options.plain:
        _require_kernels()
    if "llama.cpp" in peers:
        check_llama_cpp(config)
    from baleen.bench.measure import measure
    from baleen.cli.bench_tables import show

    figures = measure(options, config, name, peers, tell=lambda line: print(line, flush=True))
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


def _config(options: Options) -> tuple[ModelConfig, str, Path | None]:
    """What is measured: config, name, and folder if it has one. Raises UserError, UsageError unless one is given."""
    if (options.model is None) == (options.shape is None):
        raise UsageError("give either a model folder or --shape 400m, 140m or tiny")
    if options.model is not None:
        if options.keep is not None:
            raise UsageError("--keep is for the model of --shape; MODEL has its folder")
        folder = model_folder(options.model)
        return ModelConfig.from_pretrained(folder), model_name(folder), folder
    assert options.shape is not None, "one of the two is given"
    if options.keep is not None and options.keep.exists() and any(options.keep.iterdir()):
        raise UserError(f"{options.keep} is not empty; give a new folder, or measure what it holds as MODEL")
    from baleen.bench.shapes import shape

    return shape(options.shape), f"{options.shape}, random weights", None


def _require_kernels() -> None:
    from baleen.ops import cpu

    if reason := cpu.missing():
        raise UserError(
            f"the CPU kernels cannot be measured: {reason}; or measure plain PyTorch with --plain"
        )
