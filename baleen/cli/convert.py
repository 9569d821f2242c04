"""`baleen convert SRC DST`: a checkpoint into another number format, into other shards, or with an indexer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from baleen.config import UsageError

_UNITS = {"B": 1, "K": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True)
class Options:
    """Convert the checkpoint in SRC to a new folder DST, shard by shard; the same command resumes.

    --to fp8 gives e4m3 with a scale for each 128 x 128 block; without --to each tensor keeps its numbers.
    """

    src: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SRC")]
    """Folder of a model: config.json and safetensors, one file or shards with an index."""
    dst: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DST")]
    """Folder to write; must be new, empty, or left by the same command when it was interrupted."""
    to: Annotated[Literal["fp8", "bfloat16", "float32"] | None, tyro.conf.arg(aliases=["--dtype"])] = None
    """Number format of the weights; each tensor keeps its own if not given."""
    shard_size: str = "5GB"
    """Largest size of one file, in decimal bytes: 800MB, 5GB. A tensor larger than that gets its own."""
    add_indexer: bool = False
    """Make a dense V3 model a V3.2 one: every layer gets a random indexer, to be trained by a warm-up."""
    seed: int = 0
    """Seed of the new indexers."""
    index_heads: int = 64
    """Heads of the new indexers."""
    index_dim: int = 128
    """Width of a head of the new indexers; at least the model's qk_rope_head_dim."""
    index_topk: int = 2048
    """Tokens that a query may read with the new indexers."""
    force: bool = False
    """Replace the model that DST holds."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen convert`. Raises UserError for a bad source or a taken target, UsageError for bad options."""
    options = tyro.cli(Options, args=list(argv), prog="baleen convert")
    from baleen.model.conversion import IndexerSizes, Plan, convert  # here: `--help` need not wait for torch

    sizes = IndexerSizes(options.index_heads, options.index_dim, options.index_topk, options.seed)
    plan = Plan(options.to, parse_size(options.shard_size), sizes if options.add_indexer else None)
    convert(options.src, options.dst, plan, options.force, _tell)
    print(f"wrote {options.dst}")
    return 0


def parse_size(text: str) -> int:
    """Bytes of "5GB", "800M", "1000B". Raises UsageError for anything else, and for zero."""
    match = re.fullmatch(r"(\d{1,15})\s*([KMG]?B|[KMG]|)", text.strip().upper(), re.ASCII)
    if not match or not int(match[1]):
        raise UsageError(f"--shard-size {text!r} is not a size; expected a positive number as 800MB or 5GB")
    if not match[2]:
        raise UsageError(f"--shard-size {text!r} has no unit; say {text}GB or {text}MB, or {text}B for bytes")
    return int(match[1]) * _UNITS[match[2][0]]


def _tell(file: str, number: int, count: int, made: bool) -> None:
    print(f"{number}/{count} {file}{'' if made else ' (was there)'}", flush=True)
