"""`baleen plan`: what a model will take, before there is a weight: parameters, bytes, FLOPs, dollars."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from baleen.config import ModelConfig, UsageError, presets
from baleen.cost.memory import Mesh
from baleen.cost.plan import default_context, plan
from baleen.runs.files import write_atomic
from baleen.runs.model_folder import model_folder


@dataclass(frozen=True)
class Options:
    """Show what a model takes, from its config alone: parameters, tensors, bytes, FLOPs, memory, dollars."""

    model: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL]")] = None
    """Model folder, its config.json, or the folder of a finished run."""

    preset: Annotated[
        str | None,
        tyro.conf.arg(
            help="A shipped config instead. "
            + "; ".join(f"{name}: {purpose}" for name, purpose in presets().items())
        ),
    ] = None

    tensors: bool = False
    """List the name and shape of every tensor that a checkpoint must hold."""

    index: Path | None = None
    """Index, single file or folder of a checkpoint to compare with; exits 1 if names are missing or unexpected."""

    context: int | None = None
    """Tokens of one served sequence, where the plot ends too; 64 times index_topk if not given."""

    sequences: int = 1
    """Sequences whose cache is kept at once, on all devices together."""

    data: int = 1
    """Data parallel groups."""

    expert: int = 1
    """Devices, among the data x tensor ones, over which one copy of the routed experts is spread."""

    tensor: int = 1
    """Devices that share the heads and widths of one data parallel group."""

    json: bool = False
    """Print one JSON object instead of tables."""

    plot: Path | None = None
    """Write dollars and FLOPs against token position to this .svg file."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen plan`. Returns 0, or 1 if the checkpoint of --index differs. Raises UserError, OSError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen plan")
    config, name = _config(options)
    if options.plot is not None and options.plot.suffix != ".svg":
        raise UsageError(f"--plot {options.plot} does not end in .svg; the figure is written as SVG")
    context = default_context(config) if options.context is None else options.context
    figures: dict[str, Any] = {"model": name, **_figures(options, config, context)}
    if options.plot is not None:
        from baleen.report import cost_plots, theme

        figure = theme.standalone(cost_plots.planned(config, context), f"What a token of {name} costs")
        write_atomic(options.plot, figure + "\n")
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        from baleen.cli.plan_tables import show

        show(figures)
        if options.plot is not None:
            print(f"wrote {options.plot}")
    index = figures.get("index")
    return int(bool(index and (index["missing"] or index["unexpected"])))


def _config(options: Options) -> tuple[ModelConfig, str]:
    """The config to plan for, and its name. Raises UserError; UsageError unless exactly one is given."""
    if (options.model is None) == (options.preset is None):
        raise UsageError("give either a model folder, its config.json, or --preset NAME")
    if options.preset is not None:
        return ModelConfig.preset(options.preset), options.preset
    assert options.model is not None, "one of the two is given"
    file = options.model if options.model.is_file() else model_folder(options.model)
    return ModelConfig.from_pretrained(file), str(options.model)


def _figures(options: Options, config: ModelConfig, context: int) -> dict[str, Any]:
    from baleen.model.checkpoint_names import checkpoint_names
    from baleen.model.weights import compare_index, released_shapes
    from baleen.train.optim import takes_muon

    shapes = released_shapes(config)
    mesh = Mesh(options.data, options.expert, options.tensor)
    figures = plan(config, shapes, takes_muon, mesh, context, options.sequences)
    if options.tensors:
        figures["tensors"] = {tensor: list(shape) for tensor, shape in shapes.items()}
    if options.index is not None:
        figures["index"] = asdict(compare_index(config, checkpoint_names(options.index)))
    return figures
