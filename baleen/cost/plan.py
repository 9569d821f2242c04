"""What a model of given sizes takes: parameters, bytes, FLOPs, memory, dollars. It needs no weights."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from baleen.config import ModelConfig, UsageError, UserError
from baleen.cost import memory
from baleen.cost.dollars import dollars_per_million
from baleen.cost.flops import token_flops
from baleen.cost.parameters import count_parameters

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


def default_context(config: ModelConfig) -> int:
    """Default sequence length in tokens: the last position of the tables, at most the model's context."""
    return min(POSITIONS[-1] * config.index_topk, config.max_position_embeddings)


def plan(
    config: ModelConfig,
    shapes: memory.Shapes,
    takes_muon: Callable[[str, int], bool],
    mesh: memory.Mesh,
    context: int,
    sequences: int,
) -> dict[str, Any]:
    """Plan for a model.

    Args:
        config: the sizes of the model.
        shapes: name and shape of every tensor of its checkpoint, `baleen.model.weights.released_shapes`.
        takes_muon: whether Muon trains the tensor of this name and number of dimensions, rather than AdamW.
        mesh: the devices that serve or train it.
        context: tokens of one served sequence.
        sequences: number of sequences cached at once.

    Returns:
        One JSON object: counts, bytes, FLOPs per token, and dollars per million tokens.

    Raises:
        UsageError: the mesh does not divide the model, or there are no sequences.
        UserError: the model has no such context.
    """
    limit = config.max_position_embeddings
    if not 1 <= context <= limit:
        raise UserError(f"--context {context} is outside 1 to max_position_embeddings = {limit}")
    if sequences < 1:
        raise UsageError(f"--sequences {sequences} is below 1; give how many are kept at once")
    mesh.check(config)
    counts = count_parameters(config)

    def optimizer_states(tensor: str, dimensions: int) -> int:
        return 1 if takes_muon(tensor, dimensions) else 2

    return {
        "config": config.model_dump(),
        "parameters": asdict(counts) | {"main": counts.main, "total": counts.total},
        "num_tensors": len(shapes),
        "weight_bytes": {kind: memory.weight_bytes(shapes, kind == "fp8") for kind in ("bf16", "fp8")},
        "cache_bytes_per_token": _cache_bytes(config),
        **_costs_by_position(config),
        "memory_per_device": {
            "mesh": asdict(mesh) | {"devices": mesh.devices},
            "context": context,
            "sequences": sequences,
            "serving": {
                kind: memory.serving_memory(shapes, config, mesh, context, sequences, kind == "fp8")
                for kind in ("bf16", "fp8")
            },
            "training": memory.training_memory(shapes, config, mesh, optimizer_states),
        },
        "assumptions": ASSUMPTIONS,
    }


def _cache_bytes(config: ModelConfig) -> dict[str, int]:
    """Bytes that one token adds to the cache of the whole model, by part and format."""
    parts = {
        f"{part}_{kind}": count(config, kind == "fp8")
        for kind in ("bf16", "fp8")
        for part, count in (("mla", memory.latent_cache_bytes), ("indexer", memory.index_cache_bytes))
    }
    return parts | {
        f"dsa_{kind}": parts[f"mla_{kind}"] + parts[f"indexer_{kind}"] for kind in ("bf16", "fp8")
    }


def _costs_by_position(config: ModelConfig) -> dict[str, Any]:
    """FLOPs per token and dollars per million tokens at each position, by phase, dense and DSA."""
    positions = [step * config.index_topk for step in POSITIONS]

    def lines(cost: Any) -> dict[str, dict[str, list[float]]]:
        return {
            phase: {
                kind: [cost(config, position, phase, kind == "dsa") for position in positions]
                for kind in ("dense", "dsa")
            }
            for phase in ("prefill", "decode")
        }

    return {
        "positions": positions,
        "flops_per_token": lines(token_flops),
        "dollars_per_million": lines(dollars_per_million),
    }
