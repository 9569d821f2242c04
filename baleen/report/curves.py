"""Drawing of training curves and their axes, shared by the figures."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from baleen.report.formats import figures
from baleen.report.run_data import Run
from baleen.report.theme import GREY, MUTED

_MAX_POINTS = 160  # a curve of more points is averaged over bins


def curve(
    axes: Axes, run: Run, stage: str, name: str, colour: str, offset: int = 0, breaks: Sequence[int] = ()
) -> float:
    """The scalar as recorded, faint, under its trailing mean. Returns the mean's last value.

    breaks: steps at which the data changes. The mean starts afresh there, or it would turn a jump into a slope.
    """
    steps, values = run.curve(stage, name)
    x, y = _binned(np.asarray(steps, float), np.asarray(values))
    width = max(1, len(y) // 16)
    parts = np.split(np.arange(len(y)), np.searchsorted(x, sorted(breaks)))
    smooth = np.concatenate([trailing_mean(y[part], width) for part in parts])
    if width > 1:
        axes.plot(x + offset, y, color=colour, lw=1.0, alpha=0.28)
    for part in parts:
        axes.plot(x[part] + offset, smooth[part], color=colour)
    return float(smooth[-1])


def _binned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means over bins, each at the last step of its bin: no point knows what came after it."""
    if len(x) <= _MAX_POINTS:
        return x, y
    edges = np.linspace(0, len(x), _MAX_POINTS + 1).astype(int)
    return x[edges[1:] - 1], np.add.reduceat(y, edges[:-1]) / np.diff(edges)


def trailing_mean(y: np.ndarray, width: int) -> np.ndarray:
    """Over the last `width` points up to each, at the start over fewer: the last quarter of those there are.

    Curves are steep at their start, where a mean over more would lag far behind.
    """
    total = np.concatenate([[0.0], np.cumsum(y)])
    last = np.arange(1, len(y) + 1)
    first = last - np.minimum(width, 1 + last // 4)
    return (total[last] - total[first]) / (last - first)


def mark_step(axes: Axes, step: float, text: str, side: Literal["left", "right"] = "left") -> None:
    """A dashed vertical line with `text` at its top, on one side of it."""
    axes.axvline(step, color=GREY, lw=0.8, ls=(0, (3, 3)))
    where = {"xy": (step, 1.0), "xycoords": axes.get_xaxis_transform(), "va": "top"}
    shift = -5 if side == "left" else 5
    style = {"color": MUTED, "fontsize": 9.0, "ha": "right" if side == "left" else "left"}
    axes.annotate(text, xytext=(shift, 0), textcoords="offset points", **where, **style)


def few_ticks(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.01)


def plain_log(axes: Axes) -> None:
    """As few round numbers as tell the scale, written out, no minor ticks."""
    low, high = axes.get_ylim()
    if high < 3 * low:  # a point or two, with no round number near: room for some
        middle = (low * high) ** 0.5
        low, high = middle / 3, middle * 3
    for factors in ((1,), (1, 2, 5), range(1, 10)):
        ticks = [f * 10.0**e for e in range(-12, 4) for f in factors if low <= f * 10.0**e <= high]
        if len(ticks) >= 3:
            break
    axes.set_yticks(ticks)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: figures(value, 1)))
    axes.set_ylim(low, high)
