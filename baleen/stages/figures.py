"""Measurements of the finished model for the report: decode times, and what its indexers select."""

from collections.abc import Sequence
from pathlib import Path

from baleen.bench.decode_cost import decode_cost
from baleen.chat import Tokenizer
from baleen.model import Transformer
from baleen.runs.files import write_json
from baleen.stages.selection import selection

FIGURES = ("cost.json", "selection.json")


def write_figures(
    folder: Path, model: Transformer, tokenizer: Tokenizer, text: Sequence[int], seed: int
) -> None:
    """Write both files to `folder`. text: token ids of held-out text."""
    write_json(folder / "cost.json", decode_cost(model))
    write_json(folder / "selection.json", selection(model, tokenizer, list(text), seed))
