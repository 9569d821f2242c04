"""How many of the tokens that the indexer selects stay selected when its scores are computed in eight bits?

    python benchmarks/index_fp8_overlap.py [--lengths 4096 8192 16384 32768] [--seeds 5] [--json FILE]

The released indexer's sizes (64 heads of 128 dimensions, top 2,048), random queries and keys, the last 8 queries of
each length. Share of the float32 selection that FP8 selects too, with the Hadamard rotation, without, and on the
keys alone (a mistake: what it costs), and that the engine's whole numbers of eight bits select, with the rotation. The
mean over seeds, and the largest distance of a seed from it. "By chance" is the share of a random selection.

e4m3 has an exponent in each number, so one large channel does not drown the others as it would in integers. What
the rotation mends are channels that are large in both q and k: there a few products carry the score, and their
rounding errors do not average out.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from baleen.ops import (
    fp8_index_scores,
    hadamard_rotate,
    index_scores,
    int8_index_scores,
    quantize_tokens,
    quantized_index_scores,
    selection_mask,
    topk_positions,
)

HEADS, DIM, TOPK, QUERIES = 64, 128, 2048, 8
OUTLIER_CHANNELS, OUTLIER_FACTOR = 2, 16.0
KINDS = ("no outliers", "outliers in keys", "outliers in both")


def inputs(kind: str, length: int, seed: int, heads: int = HEADS) -> tuple[Tensor, Tensor, Tensor]:
    """Random q [1, 8, heads, 128], k [1, length, 128], weights [1, 8, heads]; a few channels larger by `kind`."""
    generator = torch.Generator().manual_seed(seed)
    q, k, weights = (
        torch.randn(shape, generator=generator)
        for shape in ((1, QUERIES, heads, DIM), (1, length, DIM), (1, QUERIES, heads))
    )
    if kind != "no outliers":
        k[..., :OUTLIER_CHANNELS] *= OUTLIER_FACTOR
    if kind == "outliers in both":
        q[..., :OUTLIER_CHANNELS] *= OUTLIER_FACTOR
    return q, k, weights


def without_rotation(q: Tensor, k: Tensor, weights: Tensor) -> Tensor:
    return quantized_index_scores(
        *quantize_tokens(q, power_of_two=True), *quantize_tokens(k, power_of_two=True), weights
    )


def keys_alone_rotated(q: Tensor, k: Tensor, weights: Tensor) -> Tensor:
    return without_rotation(q, hadamard_rotate(k), weights)


PATHS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "with rotation": fp8_index_scores,
    "without": without_rotation,
    "keys alone": keys_alone_rotated,
    "whole numbers": int8_index_scores,
}


def overlaps(q: Tensor, k: Tensor, weights: Tensor, topk: int = TOPK) -> dict[str, float]:
    """Mean share of a query's float32 selection that each path selects too."""

    def selected(scores: Tensor) -> Tensor:
        positions, valid = topk_positions(scores, torch.ones_like(scores, dtype=torch.bool), topk)
        return selection_mask(positions, valid, scores.shape[-1])

    exact = selected(index_scores(q, k, weights))
    return {
        name: ((selected(path(q, k, weights)) & exact).sum() / exact.sum()).item()
        for name, path in PATHS.items()
    }


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--lengths", type=int, nargs="+", default=[4096, 8192, 16384, 32768])
    options.add_argument("--seeds", type=int, default=5)
    options.add_argument("--json", type=Path)
    arguments = options.parse_args()
    print(f"{'':18} {'length':>7}" + "".join(f"{name:>18}" for name in PATHS) + f"{'by chance':>12}")
    rows = []
    for kind in KINDS:
        for length in arguments.lengths:
            found = [overlaps(*inputs(kind, length, seed)) for seed in range(arguments.seeds)]
            row: dict = {"kind": kind, "length": length, "chance": min(1.0, TOPK / length)}
            cells = ""
            for name in PATHS:
                values = [each[name] for each in found]
                mean = statistics.mean(values)
                row[name] = {"mean": mean, "spread": max(abs(value - mean) for value in values)}
                cells += f"{mean:10.2%} ±{row[name]['spread']:6.2%}"
            rows.append(row)
            print(f"{kind:18} {length:7,}{cells}{row['chance']:12.2%}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
