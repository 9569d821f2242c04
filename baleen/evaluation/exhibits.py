"""What the report shows without a figure: the experts' load, and what models of several stages answered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baleen.evaluation.run_data import STAGES, Run

_LINE = re.compile(r"^(Thought|Call|Result|Answer): ?", re.MULTILINE)


def expert_loads(run: Run) -> list[tuple[str, list[list[float]]]]:
    """For each stage that recorded it, each MoE layer's load per expert as a multiple of the fair share."""
    loads = []
    for stage in run.stages.values():
        layers = [
            [value * len(layer) / (sum(layer) or 1.0) for value in layer] for layer in stage.expert_load
        ]
        if layers:
            loads.append((STAGES[stage.name], layers))
    return loads


@dataclass(frozen=True)
class SampleCard:
    """One task and what models of different stages made of it: (stage, lines, whether right)."""

    domain: str
    prompt: str
    attempts: list[tuple[str, list[tuple[str, str]], bool]]


def sample_cards(run: Run, per_domain: int = 2) -> list[SampleCard]:
    """The first recorded tasks of each domain that several stages attempted: the first, last and middle ones.

    They are taken as they come, not picked for how they went.
    """
    attempts: dict[str, dict[str, Mapping[str, Any]]] = {}
    for stage in run.stages.values():
        for sample in stage.samples:
            attempts.setdefault(sample["task_id"], {})[stage.name] = sample
    cards: list[SampleCard] = []
    for by_stage in attempts.values():
        first = next(iter(by_stage.values()))
        if len(by_stage) < 2 or sum(card.domain == first["domain"] for card in cards) >= per_domain:
            continue
        stages = list(by_stage)
        own = f"specialist_{first['domain']}"
        shown = [s for s in stages if s in (stages[0], own, "mixed", stages[-1])]
        told = [(STAGES[s], _lines(by_stage[s]["completion"]), bool(by_stage[s]["correct"])) for s in shown]
        cards.append(SampleCard(first["domain"], first["prompt"], told))
    return cards


def _lines(completion: str) -> list[tuple[str, str]]:
    """A completion as (kind, text): "thought", "call", "result", "answer"; "text" where it names none."""
    parts = _LINE.split(completion.strip())
    lines = [("text", parts[0].strip())] if parts[0].strip() else []
    lines += [(kind.lower(), text.strip()) for kind, text in zip(parts[1::2], parts[2::2], strict=True)]
    return lines
