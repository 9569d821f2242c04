"""The figure of `baleen bench`: decode against context and prefill against length, each engine a line."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

from baleen.report.curves import plain_log
from baleen.report.theme import BLUE, MUTED, ORANGE, TEAL, Grid, Plot, label_lines, plot

_LOOKS = {"baleen": (BLUE, "o-"), "transformers": (ORANGE, "s-"), "llama.cpp": (TEAL, "^-")}
_PANELS = (
    ("decode", "Decode, tokens/s", "tokens of context"),
    ("prefill", "Prefill, tokens/s", "tokens of the prompt"),
)


def speeds(figures: Mapping[str, Any]) -> Plot:
    """Draw the figures of `baleen.bench.measure.measure`: bars for the range of the rounds, dots for the roofline."""
    shown = []
    for measurement, title, unit in _PANELS:
        rows = [row for row in figures["measurements"] if row["measurement"] == measurement]
        if rows:
            shown.append((title, unit, rows))

    def draw(panels: Sequence[Axes]) -> None:
        for axes, (title, unit, rows) in zip(panels, shown, strict=True):
            _draw(axes, rows)
            axes.set_title(title)
            axes.set_xlabel(unit)

    label = f"Decode and prefill speed of {figures['model']} against length, with the machine's roofline"
    return plot("bench-speeds", label, Grid(len(shown), 2, 290, 215), draw)


def _draw(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    ends = []
    for engine, (colour, style) in _LOOKS.items():
        own = [row for row in rows if row["engine"] == engine]
        if not own:
            continue
        at, medians = [row["at"] for row in own], [row["median"] for row in own]
        below = [row["median"] - min(row["values"]) for row in own]
        above = [max(row["values"]) - row["median"] for row in own]
        axes.errorbar(at, medians, (below, above), fmt=style, color=colour, ms=4, elinewidth=1.0)
        ends.append((medians[-1], engine, colour))
        if engine == "baleen":
            roof = [row["median"] / row["roofline_share"] for row in own]
            axes.plot(at, roof, ":", color=MUTED)
            ends.append((roof[-1], "roofline", MUTED))
    axes.set_yscale("log")
    plain_log(axes)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.6g}"))
    axes.set_xscale("log", base=2)
    ticks = sorted({row["at"] for row in rows})
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v / 1024:g}K" if v >= 1024 else f"{v:g}"))
    label_lines(axes, ends)
