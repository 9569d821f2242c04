"""The figure of `baleen eval`: accuracy against real steps, one line for each strategy."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from baleen.report.curves import few_ticks
from baleen.report.theme import BLUE, GOLD, ORANGE, PURPLE, TEAL, Grid, Plot, label_lines, plot

_LOOKS = {
    "none": (ORANGE, "s"),
    "summary": (PURPLE, "D"),
    "discard-75": (TEAL, "^"),
    "discard-all": (BLUE, "o"),
    "fewest-step": (GOLD, "v"),
}


def accuracy_over_steps(rows: Sequence[Mapping[str, Any]]) -> Plot:
    """The lines are the curves of `rows`, the marks their means with intervals.

    rows: of `baleen.evaluation.context_strategies.row`.
    """

    def draw(panels: Sequence[Axes]) -> None:
        (axes,) = panels
        ends = []
        for row in rows:
            colour, mark = _LOOKS[row["strategy"]]
            steps, shares = zip(*row["curve"], strict=True)
            parallel = row["branches"] > row["attempts"]
            axes.plot(steps, shares, color=colour, drawstyle="default" if parallel else "steps-post")
            error = ([row["accuracy"] - row["low"]], [row["high"] - row["accuracy"]])
            at = ([row["steps"]], [row["accuracy"]])
            axes.errorbar(*at, error, fmt=mark, color=colour, ms=6, elinewidth=1.0)
            ends.append((shares[-1], row["strategy"], colour))
        axes.set_title("Accuracy against steps; marks at the mean, with 95 % intervals")
        axes.set_xlabel("real steps of an attempt, those of all its trajectories together")
        axes.set_ylim(0, 1.02)
        few_ticks(axes)
        axes.set_xlim(0, 1.05 * max(step for row in rows for step, _ in row["curve"]))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:.0f} %"))
        label_lines(axes, ends)

    label = "Share of tasks solved against steps, for each strategy of context management"
    return plot("test-time", label, Grid(1, 1, 360, 300, width=760), draw)
