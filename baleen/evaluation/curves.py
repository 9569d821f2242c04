"""Drawing of training curves and their axes, shared by the figures."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from baleen.evaluation.formats import figures
from baleen.evaluation.run_data import Run

_MAX_POINTS = 160  # a curve of more points is averaged over bins


def curve(axes: Axes, run: Run, stage: str, name: str, colour: str, offset: int = 0) -> float:
    """The scalar as recorded, faint, under its moving average. Returns the average's last value."""
    steps, values = run.curve(stage, name)
    x, y = _binned(np.asarray(steps, float) + offset, np.asarray(values))
    width = max(1, len(y) // 12)
    smooth = _moving_average(y, width)
    if width > 1:
        axes.plot(x, y, color=colour, lw=1.0, alpha=0.28)
    axes.plot(x, smooth, color=colour)
    return float(smooth[-1])


def _binned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(x) <= _MAX_POINTS:
        return x, y
    edges = np.linspace(0, len(x), _MAX_POINTS + 1).astype(int)
    counts = np.diff(edges)
    return np.add.reduceat(x, edges[:-1]) / counts, np.add.reduceat(y, edges[:-1]) / counts


def _moving_average(y: np.ndarray, width: int) -> np.ndarray:
    """Over `width` points either side; at the start, where curves are steep, over as many as there are."""
    total = np.concatenate([[0.0], np.cumsum(y)])
    i = np.arange(len(y))
    reach = np.minimum(i, width)
    first, last = i - reach, np.minimum(i + reach + 1, len(y))
    return (total[last] - total[first]) / (last - first)


def few_ticks(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, steps=[1, 2, 5, 10]))
    if axes.get_yscale() == "linear":
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.margins(x=0.01)


def plain_log(axes: Axes) -> None:
    """As few round numbers as tell the scale, written out, no minor ticks."""
    low, high = axes.get_ylim()
    for factors in ((1,), (1, 2, 5), range(1, 10)):
        ticks = [f * 10.0**e for e in range(-12, 4) for f in factors if low <= f * 10.0**e <= high]
        if len(ticks) >= 3:
            break
    axes.set_yticks(ticks)
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: figures(value, 1)))
    axes.set_ylim(low, high)
