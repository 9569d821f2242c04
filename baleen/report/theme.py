"""The look of every figure: sizes, type, and colours that the page's style sheet decides.

Figures are drawn in stand-in colours, which `to_svg` replaces by CSS variables: the same SVG follows the page
into dark mode. Text stays text, set in the page's own type. The palette's hues stay apart for the common
forms of colour blindness, and no figure tells things apart by hue alone.
"""

import io
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Stand-ins: any distinct colours; those on the screen are in palette.css.
INK, MUTED, RULE, SURFACE = "#0b0b0b", "#6c6c6c", "#dddddd", "#fefefe"
BLUE, ORANGE, TEAL, PURPLE, GOLD, GREY = "#0000f1", "#f10000", "#00a1a1", "#a100a1", "#a1a100", "#a1a1a2"
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    SURFACE: "--surface",
    BLUE: "--blue",
    ORANGE: "--orange",
    TEAL: "--teal",
    PURPLE: "--purple",
    GOLD: "--gold",
    GREY: "--grey",
}
DOMAIN_COLOURS = {"math": PURPLE, "logic": TEAL, "tool": GOLD}

_POINTS_PER_PIXEL = 0.75
_HEADING = 24  # points
_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",  # measures the text; the page sets it
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.titlesize": 10.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9.0,
    "axes.labelsize": 9.0,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.7,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.formatter.useoffset": False,
}


@dataclass(frozen=True)
class Plot:
    """One figure as two inline SVGs: for wide screens, and re-arranged for narrow ones."""

    wide: str
    narrow: str
    label: str


@dataclass(frozen=True)
class Grid:
    """Panels of a figure; heights in CSS pixels. A narrow figure stacks its panels in one column."""

    panels: int
    columns: int
    height: int = 270
    narrow_height: int = 230
    width: int = 1040
    ratios: Sequence[float] | None = None


def plot(name: str, label: str, grid: Grid, draw: Callable[[Sequence[Axes]], None]) -> Plot:
    """Draw the same panels in both arrangements. label: the figure in words, for those who cannot see it."""
    svgs = []
    for narrow in (False, True):
        rows, columns = (grid.panels, 1) if narrow else (-(-grid.panels // grid.columns), grid.columns)
        width, height = (368, grid.narrow_height) if narrow else (grid.width, grid.height)
        with rc_context(_STYLE):
            figure = Figure(figsize=(width / 96, rows * height / 96), layout="constrained")
            figure.get_layout_engine().set(w_pad=0.1, h_pad=0.09, wspace=0.04, hspace=0.06)  # type: ignore[union-attr]
            ratios = None if narrow else grid.ratios
            axes = list(figure.subplots(rows, columns, squeeze=False, width_ratios=ratios).flat)
            for spare in axes[grid.panels :]:
                spare.set_visible(False)
            draw(axes[: grid.panels])
            svgs.append(to_svg(figure, f"{name}-{'narrow' if narrow else 'wide'}", label))
    return Plot(svgs[0], svgs[1], label)


def standalone(plot: Plot, title: str) -> str:
    """The wide figure as the text of an SVG file of its own, below `title`, in the page's colours, light and dark."""
    colours = (Path(__file__).parent / "templates" / "palette.css").read_text(encoding="utf-8")
    style = f"<style>{colours}svg {{ background: var(--page); font-family: var(--sans); }}</style>"
    start = plot.wide.index(">") + 1
    opening, rest = plot.wide[:start], plot.wide[start:]
    # The room for the title, in the figure's points above its top and in pixels of its height.
    opening = re.sub(
        r'viewBox="0 0 ([\d.]+) ([\d.]+)"',
        lambda box: f'viewBox="0 {-_HEADING} {box[1]} {float(box[2]) + _HEADING:g}"',
        opening,
    )
    opening = re.sub(
        r'height="(\d+)"', lambda px: f'height="{int(px[1]) + round(_HEADING / _POINTS_PER_PIXEL)}"', opening
    )
    heading = f'<text x="9" y="-7" style="font-size: 12px; font-weight: 600; fill: var(--ink)">{escape(title)}</text>'
    return f"{opening}\n<title>{escape(title)}</title>\n{style}\n{heading}{rest}"


def to_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an `<svg>` element. `name` keeps its ids apart from those of the page's other figures."""
    width, height = figure.get_size_inches() * 96
    out = io.StringIO()
    with rc_context({"svg.hashsalt": name}):
        figure.savefig(
            out, format="svg", metadata={"Date": None, "Creator": None, "Type": None, "Format": None}
        )
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    view = re.search(r'viewBox="[^"]*"', text)
    assert view is not None, "matplotlib writes a viewBox"
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {view.group()} '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{escape(label)}">'
    )
    text = opening + text[text.index(">") + 1 :]
    text = re.sub(r"font: ((?:bold )?)([\d.]+)px [^;\"]*", _font, text)
    for stand_in, variable in _VARIABLES.items():
        text = text.replace(stand_in, f"var({variable})")
    # Ids such as figure_1 and axes_2 repeat from figure to figure; only defined shapes need theirs.
    text = re.sub(
        r' id="(?:figure|patch|axes|matplotlib\.axis|[xy]tick|line2d|text|\w*Poly\w+|Line\w+)_\d+"', "", text
    )
    return re.sub(r"\n\s*", "\n", text)


def _font(match: re.Match[str]) -> str:
    weight = "font-weight: 600; " if match.group(1) else ""
    return f"{weight}font-size: {match.group(2)}px"


def label_lines(axes: Axes, ends: Iterable[tuple[float, str, str]]) -> None:
    """Name lines at the right edge instead of in a legend; names that would overlap are moved apart.

    ends: of each line its last value, name and colour. Call it when the limits of the axes are final.
    """
    height = axes.figure.get_size_inches()[1] / axes.get_subplotspec().get_gridspec().nrows  # type: ignore[union-attr]
    gap = 0.17 / max(height - 0.7, 0.5)  # a line of type, as a share of the panel
    to_share = axes.transAxes.inverted().transform
    left = axes.get_xlim()[0]
    placed: list[tuple[float, str, str]] = []
    for value, text, colour in ends:
        share = float(to_share(axes.transData.transform((left, value)))[1])
        placed.append((share, text, colour))
    placed.sort()
    floor = -0.02
    for i, (share, text, colour) in enumerate(placed):
        room_above = 1.02 - gap * (len(placed) - 1 - i)
        floor = max(floor, min(share, room_above))
        axes.annotate(
            text,
            (1.0, floor),
            xycoords="axes fraction",
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            weight="bold",
            fontsize=9.0,
            annotation_clip=False,
        )
        floor += gap
