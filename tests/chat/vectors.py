"""The golden vectors: prompts and parses recorded from the release's encoding code."""

import json
from pathlib import Path
from typing import Any

VECTORS = json.loads((Path(__file__).parent / "golden_vectors.json").read_text(encoding="utf-8"))


def conversation(vector: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of an encode vector, its tools put where it says."""
    messages = [dict(message) for message in vector["messages"]]
    if vector["tools"] is not None:
        messages[vector["tools_target"]]["tools"] = vector["tools"]
    return messages


def completions() -> list[tuple[str, str, str]]:
    """(name, completion, thinking mode) of every parse vector, errors included."""
    return [
        (v["name"], v["completion"], v["thinking_mode"]) for v in VECTORS["parse"] + VECTORS["parse_errors"]
    ]
