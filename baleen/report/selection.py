"""What `selection.json` holds, to be looked at: which tokens each query reads, beside dense attention's mass."""

import base64
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import imsave
from numpy.typing import NDArray

from baleen.config.errors import UserError
from baleen.report.theme import BLUE, GREY, MUTED, ORANGE, RULE, Grid, Plot, plot

# A token's class in the page: this many levels of dense attention's mass, doubled by whether it is selected.
LEVELS = (0.005, 0.02, 0.06, 0.15, 0.3)
_OPACITY = (0.0, 0.3, 0.5, 0.7, 0.85, 1.0)
_BLUE, _ORANGE = (0.22, 0.53, 0.80), (0.85, 0.42, 0.16)  # seen on the light and on the dark page


@dataclass(frozen=True)
class LayerSelection:
    """selected, mass: [S, S] by query and key. scores: of the document's shown query, for each key up to itself."""

    selected: NDArray[np.bool_]
    mass: NDArray[np.float64]
    recall: float
    scores: Sequence[float]

    @cached_property
    def levels(self) -> NDArray[np.intp]:
        """[S, S] how many of `LEVELS` the mass reaches."""
        return np.searchsorted(LEVELS, self.mass, side="right")

    def marks(self, query: int) -> str:
        """A hexadecimal digit for each key up to `query`: the level of its mass, and 6 more where it is selected."""
        upto = slice(query + 1)
        marks = self.levels[query, upto] + (len(LEVELS) + 1) * self.selected[query, upto]
        return "".join("0123456789ab"[mark] for mark in marks)

    def recall_of(self, query: int) -> float:
        """The share of dense attention's mass that `query` gives to what it reads."""
        return float(self.mass[query] @ self.selected[query] / max(self.mass[query].sum(), 1e-9))

    def further_back(self, window: int) -> float:
        """Of what the queries beyond `window` read, the share that the last `window` tokens would not hold."""
        query, key = np.nonzero(self.selected)
        distances = (query - key)[query >= window]
        return float(np.mean(distances >= window)) if distances.size else 0.0

    @cached_property
    def maps(self) -> tuple[str, str]:
        """Two pictures, query by key, as data URIs: what is selected, and dense attention's mass."""
        return _picture(0.85 * self.selected, _BLUE), _picture(np.array(_OPACITY)[self.levels], _ORANGE)


@dataclass(frozen=True)
class SelectedDocument:
    """A document longer than index_topk. queries: positions that the page offers, `shown` at first."""

    title: str
    tokens: Sequence[str]
    queries: Sequence[int]
    shown: int
    layers: Sequence[LayerSelection]


@dataclass(frozen=True)
class Selection:
    topk: int
    documents: Sequence[SelectedDocument]


def read_selection(values: Mapping[str, Any] | None) -> Selection | None:
    """From the content of selection.json. Raises UserError where that is damaged."""
    if not values or not values.get("documents"):
        return None
    try:
        return Selection(values["index_topk"], [_document(entry) for entry in values["documents"]])
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise UserError(
            f"selection.json is damaged ({error!r}); delete it, or run the mixed stage again"
        ) from None


def _document(entry: Mapping[str, Any]) -> SelectedDocument:
    size = len(entry["tokens"])
    layers = []
    for layer in entry["layers"]:
        bits = _unpacked(layer["selected"]).reshape(size, -1)
        selected = np.unpackbits(bits, axis=1, count=size).astype(bool)
        mass = _unpacked(layer["mass"]).reshape(size, size) / 255
        layers.append(LayerSelection(selected, mass, layer["recall"], layer["scores"]))
    return SelectedDocument(entry["title"], entry["tokens"], entry["queries"], entry["shown"], layers)


def _unpacked(text: str) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def _picture(alpha: NDArray[np.floating[Any]], colour: tuple[float, float, float]) -> str:
    """[S, S] opacities of one colour as the data URI of a PNG."""
    out = io.BytesIO()
    pixels = np.empty((*alpha.shape, 4), np.uint8)
    pixels[..., :3] = np.round(255 * np.array(colour))
    pixels[..., 3] = np.round(255 * alpha)
    imsave(out, pixels, format="png", metadata={"Software": "Baleen"})
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def index_scores(document: SelectedDocument, number: int) -> Plot:
    """The shown query's index scores by position, layer by layer, upwards; downwards dense attention's mass."""

    def draw(panels: Sequence[Axes]) -> None:
        for layer, (axes, found) in enumerate(zip(panels, document.layers, strict=True)):
            chosen = found.selected[document.shown, : document.shown + 1]
            mass = found.mass[document.shown, : document.shown + 1]
            scores = np.array(found.scores) - min(found.scores)
            scores /= max(float(scores.max()), 1e-9)
            _sticks(axes, np.where(chosen, np.nan, scores), GREY)
            _sticks(axes, np.where(chosen, scores, np.nan), BLUE)
            _sticks(axes, -mass / max(float(mass.max()), 1e-9), ORANGE)
            axes.axhline(0, color=RULE, lw=0.8)
            axes.axhline(scores[chosen].min(), color=MUTED, lw=0.9, ls=(0, (3, 3)))
            axes.set_title(f"Layer {layer + 1}")
            axes.set_xlabel("position in the context")
            axes.set_ylim(-1.08, 1.08)
            axes.set_yticks([-0.5, 0.5], ["dense", "index"], rotation=90, va="center")
            axes.grid(False)
            axes.margins(x=0.01)

    label = f"Index scores of one query against all earlier tokens, layer by layer: {document.title}"
    count = len(document.layers)
    return plot(f"index-scores-{number}", label, Grid(count, min(count, 3), 230, 200), draw)


def _sticks(axes: Axes, heights: NDArray[np.float64], colour: str) -> None:
    """A stick from 0 for each height that is a number: one path, since a page holds hundreds."""
    at = np.arange(len(heights), dtype=float)
    gaps = np.full(len(heights), np.nan)
    x, y = np.stack([at, at, gaps], 1), np.stack([0 * heights, heights, gaps], 1)
    axes.plot(x.ravel(), y.ravel(), color=colour, lw=1.1, solid_capstyle="butt")
