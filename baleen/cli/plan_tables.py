"""The tables of `baleen plan`, for a terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from baleen.cli.tables import new_table
from baleen.report.formats import binary_size, short
from baleen.report.formats import figures as number

MOST_NAMES = 20  # of each kind that an index lacks or has too many; --json has them all


def show(figures: Mapping[str, Any]) -> None:
    """Print every table; the assumptions stand under the table that they belong to.

    figures: of `baleen.cost.plan.plan`, with the name of the model.
    """
    console = Console()
    notes = figures["assumptions"]
    _sizes(console, figures)
    for note in ("parameters", "weights", "cache"):
        _note(console, note, notes[note])
    positions, flops = figures["positions"], figures["flops_per_token"]
    unit, name = _flops_unit(max(map(max, (*flops["prefill"].values(), *flops["decode"].values()))))
    _lines(console, f"{name} of one token", positions, flops, lambda v: number(v * unit, 4))
    _note(console, "flops", notes["flops"])
    _lines(console, "Dollars per million tokens", positions, figures["dollars_per_million"], _dollars)
    _note(console, "dollars", notes["dollars"])
    _memory(console, figures["memory_per_device"])
    for note in ("serving", "training"):
        _note(console, note, notes[note])
    for tensor, shape in figures.get("tensors", {}).items():
        print(tensor, list(shape))
    if "index" in figures:
        _index(console, figures["index"])


def _sizes(console: Console, figures: Mapping[str, Any]) -> None:
    counts, cache, weights = (figures[key] for key in ("parameters", "cache_bytes_per_token", "weight_bytes"))
    table = new_table(f"{figures['model']}: sizes", texts=[""], numbers=["", ""])
    table.show_header = False
    rows = [
        ("parameters, main model", counts["main"]),
        ("  without its indexers", counts["backbone"]),
        ("parameters with MTP", counts["total"]),
        ("active parameters", counts["active"]),
        ("active with MTP", counts["active"] + counts["active_mtp"]),
    ]
    for name, count in rows:
        table.add_row(name, f"{count:,}", short(count))
    table.add_row("tensors of a checkpoint", f"{figures['num_tensors']:,}", "")
    table.add_section()
    for kind in ("bf16", "fp8"):
        table.add_row(f"bytes of weights, {kind.upper()}", f"{weights[kind]:,}", binary_size(weights[kind]))
    table.add_section()
    for name, key in (("MLA", "mla"), ("MLA and indexer", "dsa")):
        for kind in ("bf16", "fp8"):
            table.add_row(f"cache of a token, {kind.upper()} {name}", f"{cache[f'{key}_{kind}']:,} B", "")
    console.print(table)


def _lines(
    console: Console,
    title: str,
    positions: Sequence[int],
    lines: Mapping[str, Any],
    write: Callable[[float], str],
) -> None:
    headings = ("position", "prefill, dense", "prefill, DSA", "decode, dense", "decode, DSA")
    table = new_table(title, numbers=headings)
    for i, position in enumerate(positions):
        values = [lines[phase][kind][i] for phase in ("prefill", "decode") for kind in ("dense", "dsa")]
        at = f"{position // 1024}K" if position and position % 1024 == 0 else str(position)
        table.add_row(at, *map(write, values))
    console.print(table)


def _memory(console: Console, memory: Mapping[str, Any]) -> None:
    table = new_table("Memory of a device", texts=[""], numbers=["serving, BF16", "serving, FP8", "training"])
    columns = (memory["serving"]["bf16"], memory["serving"]["fp8"], memory["training"])
    for part in ("weights", "cache", "gradients", "optimizer", "gathered", "total"):
        cells = [binary_size(column[part]) if part in column else "" for column in columns]
        table.add_row(part, *cells, style="bold" if part == "total" else "")
    console.print(table)
    mesh = ", ".join(f"{axis} {count}" for axis, count in memory["mesh"].items())
    cached = f"{memory['sequences']} x {memory['context']:,} tokens in all caches together"
    _note(console, "mesh", f"{mesh}; {cached}")


def _index(console: Console, index: Mapping[str, Sequence[str]]) -> None:
    scales, copies = len(index["scales"]), len(index["tied_copies"])
    counts = ", ".join(f"{len(index[kind])} {kind}" for kind in ("missing", "unexpected"))
    console.print(f"index: {counts}; {scales} FP8 scales and {copies} tied copies are as they should be")
    for kind in ("missing", "unexpected"):
        for name in index[kind][:MOST_NAMES]:
            print(f"  {kind}: {name}")
        if len(index[kind]) > MOST_NAMES:
            print(f"  and {len(index[kind]) - MOST_NAMES} more {kind}; --json lists them all")


def _note(console: Console, about: str, text: str) -> None:
    console.print(Text(f"{about}: {text}", "dim"))


def _flops_unit(most: float) -> tuple[float, str]:
    return (1e-9, "GFLOP") if most >= 1e9 else (1e-6, "MFLOP")


def _dollars(value: float) -> str:
    return f"{value:.4f}" if value >= 1e-3 else number(value)
