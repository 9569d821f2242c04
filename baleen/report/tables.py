"""What the report shows without a figure: the experts' load, and what models of several stages answered."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baleen.report.effects import DOMAINS, specialist_of
from baleen.report.run_data import Run

_LINE = re.compile(r"^(Thought|Call|Result|Answer): ?", re.MULTILINE)


def expert_loads(run: Run) -> list[tuple[str, list[list[float]]]]:
    """For each stage that recorded it, each MoE layer's load per expert as a multiple of the fair share."""
    loads = []
    for stage in run.stages.values():
        layers = [
            [value * len(layer) / (sum(layer) or 1.0) for value in layer] for layer in stage.expert_load
        ]
        if layers:
            loads.append((run.titles[stage.name], layers))
    return loads


OUTCOMES = {
    (False, True): "wrong, then right",
    (True, False): "right, then wrong",
    (True, True): "right both times",
    (False, False): "wrong both times",
}
"""What became of a task between the first and the last stage that attempted it."""


@dataclass(frozen=True)
class SampleCard:
    """One task and what models of different stages made of it: (stage, lines, whether right)."""

    domain: str
    outcome: str
    prompt: str
    attempts: list[tuple[str, list[tuple[str, str]], bool]]


def sample_cards(run: Run) -> list[SampleCard]:
    """Of each domain one task for each outcome but "wrong both times", where there is one.

    Of the recorded tasks of an outcome the first is taken, of a kind that the domain has not shown yet if possible. The
    stages shown are the first, the domain's specialist, the model judged on all and the last.
    """
    attempts: dict[str, dict[str, Mapping[str, Any]]] = {}
    for stage in run.stages.values():
        for sample in stage.samples:
            attempts.setdefault(sample["task_id"], {}).setdefault(stage.name, sample)
    found: dict[tuple[str, str], list[dict[str, Mapping[str, Any]]]] = {}
    for by_stage in attempts.values():
        told = list(by_stage.values())
        if len(told) > 1:
            outcome = OUTCOMES[bool(told[0]["correct"]), bool(told[-1]["correct"])]
            found.setdefault((told[0]["domain"], outcome), []).append(by_stage)
    cards, shown = [], set()
    for domain in run.domains:
        for outcome in list(OUTCOMES.values())[:3]:
            candidates = found.get((domain, outcome), [])
            if not candidates:
                continue
            chosen = next((c for c in candidates if _kind(c) not in shown), candidates[0])
            shown.add(_kind(chosen))
            cards.append(_card(run, chosen, outcome))
    return cards


def outcome_shares(run: Run) -> list[tuple[str, int, dict[str, float]]]:
    """(domain, held-out tasks, share of each outcome), from the first to the last stage that was evaluated."""
    answered = [stage.answers for stage in run.stages.values() if stage.answers]
    if len(answered) < 2 or len(answered[0]) != len(answered[-1]):
        return []
    counted = {domain: dict.fromkeys(OUTCOMES.values(), 0) for domain in run.domains}
    for before, after in zip(answered[0], answered[-1], strict=True):
        if before["domain"] in counted:
            counted[before["domain"]][OUTCOMES[bool(before["correct"]), bool(after["correct"])]] += 1
    totals = {domain: sum(counts.values()) for domain, counts in counted.items()}
    return [
        (
            DOMAINS.get(domain, domain),
            totals[domain],
            {name: count / totals[domain] for name, count in counts.items()},
        )
        for domain, counts in counted.items()
        if totals[domain]
    ]


def _kind(by_stage: Mapping[str, Mapping[str, Any]]) -> tuple[Any, Any]:
    """Family and difficulty; earlier versions recorded neither."""
    first = next(iter(by_stage.values()))
    return first.get("family"), first.get("difficulty")


def _card(run: Run, by_stage: Mapping[str, Mapping[str, Any]], outcome: str) -> SampleCard:
    stages = list(by_stage)
    first = by_stage[stages[0]]
    wanted = (stages[0], specialist_of(run, first["domain"]), *run.judged_on("all"), stages[-1])
    shown = [stage for stage in stages if stage in wanted]
    told = [(run.titles[s], _lines(by_stage[s]["completion"]), bool(by_stage[s]["correct"])) for s in shown]
    return SampleCard(first["domain"], outcome, first["prompt"], told)


def _lines(completion: str) -> list[tuple[str, str]]:
    """A completion as (kind, text): "thought", "call", "result", "answer"; "text" where it names none."""
    parts = _LINE.split(completion.strip())
    lines = [("text", parts[0].strip())] if parts[0].strip() else []
    lines += [(kind.lower(), text.strip()) for kind, text in zip(parts[1::2], parts[2::2], strict=True)]
    return lines
