"""The tables of `baleen bench`, for a terminal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from baleen.cli.tables import new_table
from baleen.report.formats import figures as number
from baleen.report.formats import percent, short

_NAMES = {
    "prefill": "prefill, {:,}",
    "decode": "decode at {:,}",
    "streams": "streams: {:,}",
    "first token": "first token, {:,}",
    "first token, cached": "the same, cached",
}
NOTES = (
    "median of the rounds ± half their range, unknown after one round; roofline: the share of what this machine could "
    "do at best with the bytes and FLOPs that the model's shapes ask for, and what bounds it",
    "llama.cpp runs with its own choice of cache type and attention kernel; for the agreement with float32 caches and "
    "without flash attention; transformers has no int8 and computes in bfloat16 there",
)


def show(figures: Mapping[str, Any]) -> None:
    """Print every table; what each rests on stands before it. figures: of `baleen.bench.measure.measure`."""
    console = Console()
    _machine(console, figures)
    title = f"{figures['model']}, {figures['settings']['weights']}"
    table = new_table(title, texts=["", "engine"], numbers=["median", "±", "roofline", "bound"])
    named = ""
    for row in figures["measurements"]:
        name = _NAMES[row["measurement"]].format(row["at"])
        if name != named:
            table.add_section()
        value = f"{number(row['median'], 4)} {'ms' if row['unit'] == 'ms' else 'tok/s'}"
        shares = _spread(row), percent(row["roofline_share"])
        table.add_row(name if name != named else "", row["engine"], value, *shares, row["bound"])
        named = name
    console.print(table)
    table = new_table("Ratios", texts=["", "at"], numbers=["median", "±"])
    for row in figures["comparisons"]:
        table.add_row(row["name"], f"{row['at']:,}", f"{row['median']:.3g}", _spread(row))
    console.print(table)
    for note in NOTES if figures["agreement"] else NOTES[:1]:
        console.print(note, style="dim", highlight=False)
    _agreement(console, figures)
    for failure in figures["failures"]:
        console.print(f"left out: {failure}", style="yellow", highlight=False)


def _spread(row: Mapping[str, Any]) -> str:
    return "unknown" if row["spread"] is None else percent(row["spread"])


def _machine(console: Console, figures: Mapping[str, Any]) -> None:
    counts, environment, rates = figures["parameters"], figures["environment"], figures["roofline"]
    flops = ", ".join(f"{kind} {rate / 1e9:.3g} GFLOP/s" for kind, rate in rates["flops"].items())
    pinned = " ".join(f"{name}={value}" for name, value in environment["pinned"].items())
    for line in (
        f"parameters: {short(counts['total'])}, active {short(counts['active'])}",
        f"machine: {environment['cores']} × {environment['cpu'] or 'unknown processor'}",
        f"roofline: reading {rates['bandwidth'] / 1e9:.3g} GB/s, products in {flops}",
        f"every engine's process: {pinned}",
        f"baleen computes with {'its CPU kernels' if figures['kernels'] else 'plain PyTorch'}",
    ):
        console.print(line, highlight=False)


def _agreement(console: Console, figures: Mapping[str, Any]) -> None:
    for row in figures["agreement"]:
        verdict = "agrees" if row["equal"] else "DISAGREES"
        console.print(
            f"{row['engine']} {verdict} with baleen (tiny shape, float32, {row['prompt_tokens']} tokens of prompt, "
            f"index_topk {row['index_topk']}): {row['same_tokens']} of {row['tokens']} greedy tokens, "
            f"log-probabilities within {row['logprob_difference']:.1e}",
            style="" if row["equal"] else "bold red",
            highlight=False,
        )
