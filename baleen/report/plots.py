"""The report's figures of supervised training: losses, the indexer, what sparsity costs, bits per byte."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from baleen.report.curves import curve, few_ticks, mark_step, plain_log
from baleen.report.effects import AttentionLosses
from baleen.report.formats import times
from baleen.report.recipe_facts import data_changes
from baleen.report.run_data import Run
from baleen.report.theme import (
    BLUE,
    GREY,
    MUTED,
    ORANGE,
    TEAL,
    Grid,
    Plot,
    label_lines,
    plot,
)


def loss_curves(run: Run) -> Plot | None:
    """Next-token and multi-token loss of every stage that learns from text, nats per token."""
    stages = [name for name in run.of_kind("pretrain", "sparse", "sft", "distill") if _loss_names(run, name)]
    if not stages:
        return None

    def draw(panels: Sequence[Axes]) -> None:
        for axes, stage in zip(panels, stages, strict=True):
            named = _loss_names(run, stage)
            changes = data_changes(run.recipe, stage)
            breaks = [step for step, _ in changes]
            ends = [
                (curve(axes, run, stage, name, colour, breaks=breaks), text, colour)
                for name, text, colour in named
            ]
            axes.set_title(run.titles[stage])
            axes.set_xlabel("step")
            axes.set_ylim(bottom=0)
            few_ticks(axes)
            for step, text in changes:
                mark_step(axes, step, text)
            if axes is panels[0]:  # the colours mean the same in all panels
                label_lines(axes, ends)

    ratios = [2.2 if name in run.of_kind("pretrain") else 1.0 for name in stages]
    grid = Grid(len(stages), len(stages), narrow_height=190, ratios=ratios)
    return plot("loss", "Loss against training step, one panel for each supervised stage", grid, draw)


def _loss_names(run: Run, stage: str) -> list[tuple[str, str, str]]:
    """(scalar, its name on the figure, colour) of the losses that the stage recorded."""
    both = [("lm_loss", "next token", BLUE), ("mtp_loss", "MTP", ORANGE)]
    named = [entry for entry in both if run.curve(stage, entry[0])[0]]
    return named or [("loss", "loss", BLUE)] * bool(run.curve(stage, "loss")[0])


def indexer(run: Run) -> Plot | None:
    """KL to the attention and recall of its mass, through warm-up and sparse training."""
    stages = [name for name in run.of_kind("index_warmup", "sparse") if run.curve(name, "index_kl")[0]]
    if not stages:
        return None

    def draw(panels: Sequence[Axes]) -> None:
        for axes, scalar, title in (
            (panels[0], "index_kl", "KL from attention to indexer, nats"),
            (panels[1], "index_recall", "Attention mass in the indexer's top k"),
        ):
            offset = 0
            for stage in stages:
                steps, values = run.curve(stage, scalar)
                if not steps:
                    continue
                warmup = stage in run.of_kind("index_warmup")
                colour = BLUE if warmup else TEAL
                curve(axes, run, stage, scalar, colour, offset=offset)
                where = {"xy": (offset, 1.0), "xycoords": axes.get_xaxis_transform()}
                text = "warm-up" if warmup else "sparse training"
                style = {"color": colour, "fontsize": 9.0, "weight": "bold", "va": "top"}
                axes.annotate(text, xytext=(6, -1), textcoords="offset points", **where, **style)
                if offset:
                    axes.axvline(offset, color=GREY, lw=0.8, ls=(0, (3, 3)))
                offset += steps[-1]
            axes.set_title(title)
            axes.set_xlabel("step, warm-up and sparse training in a row")
            few_ticks(axes)
        panels[0].set_yscale("log")
        plain_log(panels[0])
        panels[0].margins(y=0.14)
        panels[1].set_ylim(0, 1.12)
        panels[1].set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])

    label = "The indexer's KL divergence falls and its recall of the attention's mass rises"
    return plot("indexer", label, Grid(2, 2), draw)


def attention_losses(kinds: Sequence[AttentionLosses]) -> Plot | None:
    """Loss on the same held-out text with dense, learned sparse and random sparse attention, and ratios to dense."""
    if not kinds:
        return None

    def draw(panels: Sequence[Axes]) -> None:
        for axes, kind in zip(panels, kinds, strict=True):
            lines = (
                ("DSA, random indexer", kind.random, kind.random_over_dense, ORANGE),
                ("DSA, trained indexer", kind.sparse, kind.sparse_over_dense, BLUE),
                ("dense", kind.dense, None, GREY),
            )
            for row, (text, value, over_dense, colour) in enumerate(lines):
                axes.barh(row, value, color=colour, height=0.5)
                _value(axes, f"{value:.3g}", (value, row), shift=5)
                text += f", {times(over_dense)} dense" if over_dense else ""
                axes.annotate(
                    text, (0, row), xytext=(0, 12.5), textcoords="offset points", color=MUTED, fontsize=9.0
                )
            axes.set_title(kind.kind)
            axes.set_yticks([])
            axes.set_ylim(-0.5, 2.85)
            axes.set_xlim(0, 1.14 * max(kind.dense, kind.sparse, kind.random))
            axes.grid(False)
            axes.spines["bottom"].set_visible(False)
            axes.set_xticks([])

    label = "Held-out loss with dense attention, trained sparse attention and a random indexer"
    return plot("attention-losses", label, Grid(len(kinds), len(kinds), 190, 180), draw)


def bits_per_byte(run: Run) -> Plot | None:
    """Held-out real text, bits per byte, after each stage."""
    known = [s for s in run.stages.values() if math.isfinite(s.bits_per_byte)]
    if not known:
        return None

    def draw(panels: Sequence[Axes]) -> None:
        (axes,) = panels
        values = [stage.bits_per_byte for stage in known]
        rows = np.arange(len(known))[::-1]
        axes.hlines(rows, min(values) * 0.97, values, color=GREY, lw=1.0, alpha=0.5)
        axes.plot(values, rows, "o", ms=7, color=BLUE)
        for value, row in zip(values, rows, strict=True):
            _value(axes, f"{value:.3f}", (value, row), shift=9)
        axes.set_yticks(rows, [run.titles[stage.name] for stage in known])
        axes.set_ylim(-0.6, len(known) - 0.4)
        axes.set_xlim(min(values) * 0.97, max(values) * 1.06)
        axes.set_xlabel("bits per byte")
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(False)

    height = 60 + 30 * len(known)
    label = "Bits per byte on held-out real text after each stage"
    return plot("bits", label, Grid(1, 1, height, height, width=720), draw)


def _value(axes: Axes, text: str, at: tuple[float, float], shift: float) -> None:
    """A number in bold, `shift` points to the right of its mark."""
    axes.annotate(text, at, xytext=(shift, 0), textcoords="offset points", va="center", weight="bold")
