"""The report's figures of cost against token position: measured, and by the cost model."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from baleen.config.model import ModelConfig
from baleen.evaluation import cost_model
from baleen.evaluation.cost_model import Phase
from baleen.evaluation.theme import BLUE, GREY, MUTED, ORANGE, Grid, Plot, label_lines, plot

FLOAT32 = 4  # bytes; what the engine keeps on a CPU


def measured(cost: Mapping[str, Any] | None, config: ModelConfig | None) -> Plot | None:
    """Milliseconds per decoded token of this model, dense and DSA, and the cache bytes that explain them."""
    if not cost:
        return None
    positions, topk = cost["positions"], cost["index_topk"]
    timed = [
        ("One decoded token, ms", cost.get("dense_ms"), cost.get("dsa_ms")),
        ("Attention's share of it, ms", cost.get("dense_attention_ms"), cost.get("dsa_attention_ms")),
        ("Without the indexer, ms", cost.get("dense_core_ms"), cost.get("dsa_core_ms")),
    ]
    shown: list[tuple[str, Sequence[float], Sequence[float], str]] = [
        (title, dense, sparse, "o-") for title, dense, sparse in timed if dense and sparse
    ]
    if config is not None:
        dense, sparse = ([_read_kib(config, p, s) for p in positions] for s in (False, True))
        shown.append(("Cache read for it, KiB (by formula)", dense, sparse, "-"))
    if not shown:
        return None

    def draw(panels: Sequence[Axes]) -> None:
        for axes, (title, dense, sparse, marker) in zip(panels, shown, strict=True):
            axes.plot(positions, dense, marker, color=ORANGE, ms=4)
            axes.plot(positions, sparse, marker, color=BLUE, ms=4)
            axes.set_title(title)
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
            axes.axvline(topk, color=GREY, lw=0.8, ls=(0, (3, 3)))
            where = {"xy": (topk, 1.0), "xycoords": axes.get_xaxis_transform(), "va": "top"}
            axes.annotate(
                f"k = {topk}", xytext=(5, 0), textcoords="offset points", color=MUTED, fontsize=9, **where
            )
            _position_axis(axes)
            label_lines(axes, [(dense[-1], "dense", ORANGE), (sparse[-1], "DSA", BLUE)])

    label = "Measured decode time per token and attention time against position, dense and DSA"
    return plot("measured-cost", label, Grid(len(shown), 2, 290, 215), draw)


def modelled(config: ModelConfig | None) -> Plot:
    """The V3.2 report's cost figure by the formulas of `cost_model`: for 671B and, below, this model."""
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

    label = "Modelled dollars per million tokens against token position, dense and DSA, prefill and decode"
    return plot("modelled-cost", label, Grid(len(panels_of), 2, 280, 215), draw)


def planned(config: ModelConfig, end: int) -> Plot:
    """Dollars and FLOPs of one token of a model at positions from 0 to `end`, prefill and decode, dense and DSA."""
    phases: tuple[Phase, Phase] = ("prefill", "decode")

    def draw(panels: Sequence[Axes]) -> None:
        for axes, phase in zip(panels[:2], phases, strict=True):
            _draw_dollars(axes, config, phase, end, phase.capitalize())
        for axes, phase in zip(panels[2:], phases, strict=True):
            flops = partial(cost_model.token_flops, config, phase=phase)
            unit, name = _flops_unit(flops(end, sparse=False))
            title = f"{phase.capitalize()}, {name} per token"
            _draw_lines(axes, config, end, title, lambda p, s, f=flops, u=unit: f(p, sparse=s) * u)

    label = (
        "Dollars per million tokens and FLOPs per token against position, dense and DSA, prefill and decode"
    )
    return plot("planned-cost", label, Grid(4, 2, 280, 215), draw)


def _draw_dollars(axes: Axes, config: ModelConfig, phase: Phase, end: int, title: str) -> None:
    dollars = partial(cost_model.dollars_per_million, config, phase=phase)
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
    mha, mqa, _ = cost_model.pair_flops(config)
    bends = []
    for pair, fitted in ((mha, cost_model.FITTED["prefill"]), (mqa, cost_model.FITTED["decode"])):
        bends.append(
            round(config.index_topk * mqa / fitted.sparse_attention * fitted.masked_attention / pair)
        )
    # in FLOPs alone the masked attention stops paying elsewhere than on the service
    return [*bends, config.index_topk, config.index_topk * mqa // mha]


def _read_kib(config: ModelConfig, position: int, sparse: bool) -> float:
    latent = FLOAT32 * (config.kv_lora_rank + config.qk_rope_head_dim)
    return cost_model.cache_bytes(config, position, sparse, latent, FLOAT32 * config.index_head_dim) / 1024


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
    step = 2 ** round(math.log2(max(high / 5, 1)))
    axes.set_xticks([tick for tick in range(0, int(high) + 1, step) if tick >= low])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v / 1024:g}K" if v >= 1024 else f"{v:g}"))
