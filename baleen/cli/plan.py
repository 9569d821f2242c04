"""`baleen plan`: what a model of given sizes will take, before there is a weight: parameters, bytes, FLOPs, dollars."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from baleen.config import ModelConfig, UsageError, UserError, presets
from baleen.runs.files import write_atomic
from baleen.runs.model_folder import model_folder

# Positions of the tables as multiples of index_topk: with the released 2,048, those of the V3.2 report's cost figure.
POSITIONS = (0, 1, 4, 8, 16, 32, 48, 64)
ASSUMPTIONS = {
    "parameters": "active: what a token is multiplied with, so neither the embedding's rows nor the norms",
    "weights": "norms and biases in float32; embedding, head, router, index weights and eh_proj never in FP8; "
    "on disk the release adds the MTP layer's copies of embedding and head",
    "cache": "of the main model; drafting with the MTP layer adds one layer",
    "flops": "two a weight and those of the attention, logits included; in prefill DSA takes the cheaper of masked MHA "
    "and gathered MQA",
    "dollars": "the V3.2 report's figure, H800 at $2 an hour; other sizes at the utilisation fitted to it",
    "serving": "each data group holds all weights and serves its share of the sequences; tensor devices share heads, "
    "MLP widths and vocabulary, not the cache; experts lie whole on groups of EXPERT devices; activations and "
    "fragmentation not counted",
    "training": "float32 weights and gradients, Muon's one and AdamW's two states, split as for serving and then "
    "sharded over the devices that would hold copies; gathered: the largest layer while it is computed; activations "
    "not counted",
}


@dataclass(frozen=True)
class Options:
    """Show what a model takes, from its config alone: parameters, tensors, bytes, FLOPs, memory, dollars."""

    model: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="[MODEL]")] = None
    """Model folder, its config.json, or the folder of a finished run."""

    preset: Annotated[
        str | None,
        tyro.conf.arg(
            help="A shipped config in its place. "
            + "; ".join(f"{name}: {purpose}" for name, purpose in presets().items())
        ),
    ] = None

    tensors: bool = False
    """List the name and shape of every tensor that a checkpoint must hold."""

    index: Path | None = None
    """Index, single file or folder of a checkpoint to compare with; exits 1 if names are missing or unexpected."""

    context: int | None = None
    """Tokens of one served sequence and end of the plot; 64 times index_topk if not given."""

    sequences: int = 1
    """Sequences whose cache is kept at once, on all devices together."""

    data: int = 1
    """Data parallel groups."""

    expert: int = 1
    """Devices, of the data x tensor ones, over which one copy of the routed experts is spread."""

    tensor: int = 1
    """Devices that share the heads and widths of one data parallel group."""

    json: bool = False
    """Print one JSON object instead of tables."""

    plot: Path | None = None
    """Write dollars and FLOPs against token position to this .svg file."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen plan`. Returns 0, or 1 when --index differs. Raises UserError, OSError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen plan")
    config, name = _config(options)
    context = _context(options, config)
    if options.plot is not None and options.plot.suffix != ".svg":
        raise UsageError(f"--plot {options.plot} does not end in .svg; the figure is written as SVG")
    figures = gather(config, name, options, context)
    if options.plot is not None:
        from baleen.report import cost_plots, theme

        write_atomic(
            options.plot,
            theme.standalone(cost_plots.planned(config, context), f"What a token of {name} costs") + "\n",
        )
    if options.json:
        print(json.dumps(figures, indent=1))
    else:
        from baleen.cli.plan_tables import show

        show(figures)
        if options.plot is not None:
            print(f"wrote {options.plot}")
    index = figures.get("index")
    return int(bool(index and (index["missing"] or index["unexpected"])))


def gather(config: ModelConfig, name: str, options: Options, context: int) -> dict[str, Any]:
    """Everything that the command shows, as one JSON object; bytes, FLOPs and dollars per million tokens."""
    from baleen.cost import memory
    from baleen.cost.parameters import count_parameters
    from baleen.model.weights import compare_index, released_shapes
    from baleen.train.optim import takes_muon

    mesh = memory.Mesh(options.data, options.expert, options.tensor)
    mesh.check(config)
    names = _stored_names(options.index) if options.index is not None else None
    shapes = released_shapes(config)
    counts = count_parameters(config)

    def optimiser_states(tensor: str, dimensions: int) -> int:
        return 1 if takes_muon(tensor, dimensions) else 2

    serving = {
        kind: memory.serving_memory(shapes, config, mesh, context, options.sequences, kind == "fp8")
        for kind in ("bf16", "fp8")
    }
    figures = {
        "model": name,
        "config": config.model_dump(),
        "parameters": asdict(counts) | {"main": counts.main, "total": counts.total},
        "num_tensors": len(shapes),
        "weight_bytes": {
            "bf16": memory.weight_bytes(shapes, False),
            "fp8": memory.weight_bytes(shapes, True),
        },
        "cache_bytes_per_token": _cache(config),
        **_against_position(config),
        "memory_per_device": {
            "mesh": asdict(mesh) | {"devices": mesh.devices},
            "context": context,
            "sequences": options.sequences,
            "serving": serving,
            "training": memory.training_memory(shapes, config, mesh, optimiser_states),
        },
        "assumptions": ASSUMPTIONS,
    }
    if options.tensors:
        figures["tensors"] = {tensor: list(shape) for tensor, shape in shapes.items()}
    if names is not None:
        figures["index"] = asdict(compare_index(config, names))
    return figures


def _config(options: Options) -> tuple[ModelConfig, str]:
    """The config to plan for, and its name. Raises UserError, UsageError unless exactly one is given."""
    if (options.model is None) == (options.preset is None):
        raise UsageError("give either a model folder, its config.json, or --preset NAME")
    if options.preset is not None:
        return ModelConfig.preset(options.preset), options.preset
    assert options.model is not None, "one of the two is given"
    if options.model.is_file():
        return ModelConfig.from_pretrained(options.model), str(options.model)
    return ModelConfig.from_pretrained(model_folder(options.model)), str(options.model)


def _context(options: Options, config: ModelConfig) -> int:
    """Tokens of a sequence; checks them and the number of sequences. Raises UserError."""
    limit = config.max_position_embeddings
    context = min(POSITIONS[-1] * config.index_topk, limit) if options.context is None else options.context
    if not 1 <= context <= limit:
        raise UserError(f"--context {context} is outside 1 to max_position_embeddings = {limit}")
    if options.sequences < 1:
        raise UsageError(f"--sequences {options.sequences} is below 1; give how many are kept at once")
    return context


def _stored_names(path: Path) -> Iterable[str]:
    """Names of a checkpoint's tensors. One that is a single file has no index: its header is read. Raises UserError."""
    from baleen.model.safetensors_folder import INDEX, SINGLE, read_header, read_weight_map

    index = path / INDEX if path.is_dir() else path
    single = index.with_name(SINGLE)
    if index.suffix == ".safetensors" or (not index.exists() and single.is_file()):
        return read_header(index if index.suffix == ".safetensors" else single)
    return read_weight_map(index)


def _cache(config: ModelConfig) -> dict[str, int]:
    """Bytes that one token adds to the cache of the whole model, by part and format."""
    from baleen.cost import memory

    parts = {
        f"{part}_{kind}": count(config, kind == "fp8")
        for kind in ("bf16", "fp8")
        for part, count in (("mla", memory.latent_cache_bytes), ("indexer", memory.index_cache_bytes))
    }
    return parts | {
        f"dsa_{kind}": parts[f"mla_{kind}"] + parts[f"indexer_{kind}"] for kind in ("bf16", "fp8")
    }


def _against_position(config: ModelConfig) -> dict[str, Any]:
    """FLOPs of a token and dollars of a million of them at each position, by phase, dense and DSA."""
    from baleen.cost.dollars import dollars_per_million
    from baleen.cost.flops import token_flops

    positions = [step * config.index_topk for step in POSITIONS]

    def lines(value: Any) -> dict[str, dict[str, list[float]]]:
        return {
            phase: {
                kind: [value(config, position, phase, kind == "dsa") for position in positions]
                for kind in ("dense", "dsa")
            }
            for phase in ("prefill", "decode")
        }

    return {
        "positions": positions,
        "flops_per_token": lines(token_flops),
        "dollars_per_million": lines(dollars_per_million),
    }
