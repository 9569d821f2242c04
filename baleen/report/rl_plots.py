"""The report's figures of reinforcement learning: rewards, thinking, mismatch, what more thinking buys."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from baleen.report.curves import curve, few_ticks, plain_log
from baleen.report.effects import speciale_stages
from baleen.report.run_data import Evaluated, Run
from baleen.report.theme import (
    BLUE,
    DOMAIN_COLOURS,
    GREY,
    INK,
    MUTED,
    ORANGE,
    SURFACE,
    Grid,
    Plot,
    label_lines,
    plot,
)

REASONING_FAMILIES = ("sum", "program", "reverse", "sort")


def rewards(run: Run) -> Plot | None:
    """Mean reward of each RL stage, its thinking length, and how far trainer and engine disagree."""
    specialists = [name for name in run.judged_on("own") if run.curve(name, "reward")[0]]
    mixed, hard = run.judged_on("all"), run.judged_on("hard")
    joint = [name for name in mixed + hard if run.curve(name, "reward")[0]]
    names = {name: run.titles[name].removesuffix(" RL") for name in joint}
    names |= {name: name.removeprefix("specialist_") for name in specialists}
    colours = dict.fromkeys(mixed, BLUE) | dict.fromkeys(hard, ORANGE)
    colours |= {name: DOMAIN_COLOURS.get(names[name], INK) for name in specialists}
    wanted = [
        (specialists, "reward", "Specialists: mean reward"),
        (joint, "reward", "Mixed RL and Speciale: mean reward"),
        (joint, "think_tokens", "Thinking tokens per answer"),
        (specialists + joint, "mismatch_abs_logprob", "Mean |Δ log-prob|, engine to trainer"),
    ]
    shown = [
        (kept, scalar, title)
        for stages, scalar, title in wanted
        if (kept := [stage for stage in stages if _is_drawable(run.curve(stage, scalar)[1], scalar)])
    ]
    if not shown:
        return None

    def draw(panels: Sequence[Axes]) -> None:
        for axes, (stages, scalar, title) in zip(panels, shown, strict=True):
            log = scalar == "mismatch_abs_logprob"
            if log:
                axes.set_yscale("log")
            ends = [(curve(axes, run, s, scalar, colours[s]), names[s], colours[s]) for s in stages]
            axes.set_title(title)
            axes.set_xlabel("step")
            few_ticks(axes)
            if scalar == "reward":
                axes.set_ylim(0, 1.03)
            elif scalar == "think_tokens":
                axes.set_ylim(bottom=0)
            else:
                plain_log(axes)
            label_lines(axes, ends)

    label = "Reward, thinking tokens and engine-trainer mismatch against RL step"
    return plot("rewards", label, Grid(len(shown), 2), draw)


def _is_drawable(values: Sequence[float], scalar: str) -> bool:
    """Exact agreement of engine and trainer has no place on the mismatch's log axis."""
    return any(values) if scalar == "mismatch_abs_logprob" else bool(values)


def speciale(penalized: Sequence[Evaluated], free: Sequence[Evaluated]) -> Plot | None:
    """Accuracy against thinking tokens, an arrow for each difficulty from the penalized model to Speciale."""
    before = {(row.family, row.difficulty): row for row in penalized if row.mode == "thinking"}
    after = {(row.family, row.difficulty): row for row in free if row.mode == "thinking"}
    families = [f for f in REASONING_FAMILIES if any(k[0] == f and k in before for k in after)]
    if not families:
        return None

    def draw(panels: Sequence[Axes]) -> None:
        for axes, family in zip(panels, families, strict=True):
            keys = sorted(key for key in after if key[0] == family and key in before)
            for key in keys:
                _arrow(axes, before[key], after[key])
            axes.set_title(f"{family}")
            axes.set_xlabel("thinking tokens")
            axes.set_ylim(-0.03, 1.1)
            axes.set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
            longest = max(max(before[key].think_tokens, after[key].think_tokens) for key in keys)
            axes.set_xlim(0, max(1.18 * longest, 1.0))
            axes.xaxis.set_major_locator(MaxNLocator(4))

    label = "Accuracy against thinking tokens for the length-penalized model and Speciale, per difficulty"
    return plot("speciale", label, Grid(len(families), len(families), 300, 260), draw)


def budgets(run: Run) -> Plot | None:
    """Accuracy of the mixed model and of Speciale where longer answers count as wrong, and the paired difference."""
    stages = speciale_stages(run)
    rows = run.stages[stages[1]].budgets if stages and stages[1] in run.stages else ()
    if not stages or not rows:
        return None
    at = [row["budget"] for row in rows]
    before, after = (run.titles[stage] for stage in stages)

    def draw(panels: Sequence[Axes]) -> None:
        ends = []
        for name, text, colour in (("before", before, GREY), ("after", after, ORANGE)):
            shares = [row[name] for row in rows]
            panels[0].plot(at, shares, "o-", color=colour, ms=5)
            ends.append((shares[-1], text, colour))
        panels[0].set_title("Accuracy")
        panels[0].set_ylim(0, 1.03)
        panels[0].set_yticks([0, 0.25, 0.5, 0.75, 1.0], ["0", "25 %", "50 %", "75 %", "100 %"])
        rises = [100 * row["rise"] for row in rows]
        bounds = [
            [100 * (row["rise"] - row["low"]) for row in rows],
            [100 * (row["high"] - row["rise"]) for row in rows],
        ]
        panels[1].errorbar(at, rises, bounds, fmt="o", color=ORANGE, ms=5, elinewidth=1.2)
        panels[1].axhline(0, color=MUTED, lw=0.8)
        panels[1].set_title(f"{after} less {before}, points")
        for axes in panels:
            axes.set_xlabel("budget, tokens of the completion")
            axes.margins(x=0.05)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        label_lines(panels[0], ends)

    label = f"Accuracy on hard tasks at each budget of tokens, {before} and {after}, and their difference"
    return plot("budgets", label, Grid(2, 2), draw)


def _arrow(axes: Axes, before: Evaluated, after: Evaluated) -> None:
    """From the penalized model's hollow point to Speciale's full one, with 95 % intervals, named d1, d2, …"""
    start, end = (before.think_tokens, before.accuracy), (after.think_tokens, after.accuracy)
    for (x, accuracy), colour in ((start, GREY), (end, ORANGE)):
        axes.plot([x, x], accuracy[1:], color=colour, lw=1.2, alpha=0.6)
    style = {"arrowstyle": "-|>,head_width=0.22,head_length=0.4", "color": MUTED, "lw": 1.0}
    points = {"xy": (end[0], end[1].estimate), "xytext": (start[0], start[1].estimate)}
    axes.annotate("", **points, arrowprops=style | {"shrinkA": 4, "shrinkB": 5})
    axes.plot(start[0], start[1].estimate, "o", ms=6.5, mfc=SURFACE, mec=GREY, mew=1.6)
    axes.plot(end[0], end[1].estimate, "o", ms=6.5, color=ORANGE)
    axes.annotate(
        f"d{after.difficulty}",
        (end[0], end[1].estimate),
        xytext=(7, -2),
        textcoords="offset points",
        fontsize=9.0,
        weight="bold",
        va="center",
    )
