"""The report's figures of cost against token position: measured, and by the cost model."""

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from baleen.config.model import ModelConfig
from baleen.cost.dollars import FITTED, dollars_per_million
from baleen.cost.flops import Phase, cache_bytes, pair_flops, token_flops
from baleen.report.curves import mark_step, plain_log
from baleen.report.decode_times import DecodeTimes
from baleen.report.formats import figures
from baleen.report.theme import (
    BLUE,
    GREY,
    INK,
    MUTED,
    ORANGE,
    SURFACE,
    TEAL,
    Grid,
    Plot,
    label_lines,
    plot,
)

FLOAT32 = 4  # bytes; what the engine keeps on a CPU


def measured(times: DecodeTimes | None, config: ModelConfig | None) -> Plot | None:
    """Milliseconds of a decode step, dense and DSA, where the two cross, and the cache bytes behind them."""
    if times is None:
        return None
    drawn: list[Callable[[Axes], None]] = [
        lambda axes: _attention(axes, times, log=True),
        lambda axes: _attention(axes, times, log=False),
        lambda axes: _whole_step(axes, times),
    ]
    if config is not None:
        drawn.append(lambda axes: _cache_read(axes, times, config))

    def draw(panels: Sequence[Axes]) -> None:
        for axes, panel in zip(panels, drawn, strict=True):
            panel(axes)

    label = "Measured time of attention and of a whole decode step against position, dense and DSA"
    return plot("measured-cost", label, Grid(len(drawn), 2, 300, 235), draw)


_READERS = (("dense", "dense", ORANGE), ("dsa", "DSA", BLUE), ("given", "DSA, choice given", TEAL))


def _attention(axes: Axes, times: DecodeTimes, log: bool) -> None:
    """Attention with the indexer, and without its scores and choice; the crossing is marked on log axes."""
    axes.set_title(f"Attention of a step, ms{', log-log' if log else ''}")
    if log:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
    ends = _draw_times(axes, times, "attention")
    if log:
        plain_log(axes)
    else:
        axes.set_ylim(bottom=0)
    _position_axis(axes)
    mark_step(axes, times.topk, f"k = {times.topk}", "right")
    crossing = times.crossing
    if log and crossing:
        at = times.medians("dsa", "attention")
        height = np.interp(np.log(crossing.estimate), np.log(times.positions), [m.estimate for m in at])
        axes.axvspan(crossing.low, crossing.high, color=GREY, alpha=0.18, lw=0)
        axes.plot(crossing.estimate, height, "o", ms=7, mfc=SURFACE, mec=INK, mew=1.4)
        text = f"DSA is faster from\n≈ {figures(crossing.estimate, 2)} tokens on"
        axes.annotate(
            text,
            (crossing.estimate, height),
            xytext=(0.03, 0.72),
            textcoords="axes fraction",
            fontsize=9.0,
            va="center",
            arrowprops={"arrowstyle": "-", "color": MUTED, "lw": 0.8, "shrinkB": 5},
        )
    label_lines(axes, ends)


def _whole_step(axes: Axes, times: DecodeTimes) -> None:
    axes.set_title("The whole step, ms")
    ends = _draw_times(axes, times, "step")
    axes.set_ylim(bottom=0)
    _position_axis(axes)
    label_lines(axes, ends)


def _draw_times(axes: Axes, times: DecodeTimes, part: str) -> list[tuple[float, str, str]]:
    """A line for each reader over the band of its medians' 95 % intervals; what `label_lines` wants."""
    ends = []
    for reader, name, colour in _READERS:
        if reader not in times.ms or (reader == "given" and part == "step"):
            continue
        # told what to read, a step gathers it even where everything is read: only beyond k are the two comparable
        first = times.positions.index(times.topk) if reader == "given" else 0
        at, medians = times.positions[first:], times.medians(reader, part)[first:]
        axes.fill_between(
            at, [m.low for m in medians], [m.high for m in medians], color=colour, alpha=0.22, lw=0
        )
        axes.plot(at, [m.estimate for m in medians], "o-", color=colour, ms=4)
        ends.append((medians[-1].estimate, name, colour))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    return ends


def _cache_read(axes: Axes, times: DecodeTimes, config: ModelConfig) -> None:
    axes.set_title("Cache read, KiB (by formula)")
    ends = []
    for sparse, name, colour in ((False, "dense", ORANGE), (True, "DSA", BLUE)):
        read = [_read_kib(config, position, sparse) for position in times.positions]
        axes.plot(times.positions, read, color=colour)
        ends.append((read[-1], name, colour))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    _position_axis(axes)
    label_lines(axes, ends)


def modeled(config: ModelConfig | None) -> Plot:
    """The V3.2 report's cost figure by the formulas of `cost`: for 671B and, below, this model."""
    large = ModelConfig.preset("v3.2")
    panels_of: list[tuple[ModelConfig, Phase, int, str]] = [
        (large, "prefill", 131072, "671B prefill"),
        (large, "decode", 131072, "671B decode"),
    ]
    if config is not None and config != large:
        # As many times index_topk as the 671B figure shows, so that the shapes can be compared.
        end = config.index_topk * 131072 // large.index_topk
        panels_of.append((config, "prefill", end, "this model's prefill"))
        panels_of.append((config, "decode", end, "this model's decode"))

    def draw(panels: Sequence[Axes]) -> None:
        for axes, (sizes, phase, end, title) in zip(panels, panels_of, strict=True):
            _draw_dollars(axes, sizes, phase, end, title)

    label = "Modeled dollars per million tokens against token position, dense and DSA, prefill and decode"
    return plot("modeled-cost", label, Grid(len(panels_of), 2, 280, 215), draw)


def planned(config: ModelConfig, end: int) -> Plot:
    """Dollars and FLOPs of one token of a model at positions from 0 to `end`, prefill and decode, dense and DSA."""
    phases: tuple[Phase, Phase] = ("prefill", "decode")

    def draw(panels: Sequence[Axes]) -> None:
        for axes, phase in zip(panels[:2], phases, strict=True):
            _draw_dollars(axes, config, phase, end, phase.capitalize())
        for axes, phase in zip(panels[2:], phases, strict=True):
            flops = partial(token_flops, config, phase=phase)
            unit, name = _flops_unit(flops(end, sparse=False))
            title = f"{phase.capitalize()}, {name} per token"
            _draw_lines(axes, config, end, title, lambda p, s, f=flops, u=unit: f(p, sparse=s) * u)

    label = (
        "Dollars per million tokens and FLOPs per token against position, dense and DSA, prefill and decode"
    )
    return plot("planned-cost", label, Grid(4, 2, 280, 215), draw)


def _draw_dollars(axes: Axes, config: ModelConfig, phase: Phase, end: int, title: str) -> None:
    dollars = partial(dollars_per_million, config, phase=phase)
    unit, name = _dollar_unit(max(dollars(end, sparse=sparse) for sparse in (False, True)))
    title = f"{title}, $ per {name} tokens"
    _draw_lines(axes, config, end, title, lambda p, s: dollars(p, sparse=s) * unit)


def _draw_lines(
    axes: Axes, config: ModelConfig, end: int, title: str, value: Callable[[int, bool], float]
) -> None:
    """`value(position, sparse)` of the dense and of the sparse model, from 0 to `end`."""
    bends = [bend for bend in _kinks(config) if bend < end]
    positions = sorted({*np.linspace(0, end, 33).astype(int).tolist(), *bends})
    dense, sparse = ([value(p, s) for p in positions] for s in (False, True))
    axes.plot(positions, dense, color=ORANGE)
    axes.plot(positions, sparse, color=BLUE)
    axes.set_title(title)
    axes.set_ylim(bottom=0)
    axes.set_xlim(0, end)
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    _position_axis(axes)
    label_lines(axes, [(dense[-1], "dense", ORANGE), (sparse[-1], "DSA", BLUE)])


def _kinks(config: ModelConfig) -> list[int]:
    """Positions where the sparse lines may bend: where masked attention stops paying, and at index_topk."""
    mha, mqa, _ = pair_flops(config)
    bends = []
    for pair, fitted in ((mha, FITTED["prefill"]), (mqa, FITTED["decode"])):
        bends.append(
            round(config.index_topk * mqa / fitted.sparse_attention * fitted.masked_attention / pair)
        )
    # in FLOPs alone the masked attention stops paying elsewhere than on the service
    return [*bends, config.index_topk, config.index_topk * mqa // mha]


def _read_kib(config: ModelConfig, position: int, sparse: bool) -> float:
    latent = FLOAT32 * (config.kv_lora_rank + config.qk_rope_head_dim)
    return cache_bytes(config, position, sparse, latent, FLOAT32 * config.index_head_dim) / 1024


def _dollar_unit(most_per_million: float) -> tuple[float, str]:
    """A factor from dollars per million tokens to dollars per so many tokens that they can be read."""
    steps = ((1.0, "million"), (1e3, "billion"), (1e6, "trillion"), (1e9, "quadrillion"))
    return next((step for step in steps if most_per_million * step[0] >= 0.1), steps[-1])


def _flops_unit(most: float) -> tuple[float, str]:
    """A factor from FLOPs to a unit in which the largest number can be read."""
    steps = ((1e-12, "TFLOP"), (1e-9, "GFLOP"), (1e-6, "MFLOP"), (1e-3, "kFLOP"))
    return next((step for step in steps if most * step[0] >= 1), steps[-1])


def _position_axis(axes: Axes) -> None:
    axes.set_xlabel("position in the context, tokens")
    low, high = axes.get_xlim()
    if axes.get_xscale() == "log":
        ticks = [2**power for power in range(21) if low <= 2**power <= high][::2]
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        step = 2 ** round(math.log2(max(high / 5, 1)))
        ticks = [tick for tick in range(0, int(high) + 1, step) if tick >= low]
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v / 1024:g}K" if v >= 1024 else f"{v:g}"))
