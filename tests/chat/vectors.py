"""Conversations and completions with what the release's own code made of them (`tests/golden/make_chat.py`)."""

import json
from pathlib import Path
from typing import Any

GOLDEN: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[1] / "golden" / "chat.json").read_text(encoding="utf-8")
)


def completions(longest: int = 10**6) -> list[tuple[str, str]]:
    """(completion, thinking mode) of every recorded parse of up to `longest` characters, errors included."""
    parses = GOLDEN["parse"]
    return [(v["completion"], v["thinking_mode"]) for v in parses if len(v["completion"]) <= longest]
