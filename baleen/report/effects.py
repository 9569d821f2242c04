"""What a run gained or lost by its stages: each difference and each ratio with its 95 % interval."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baleen.evaluation.intervals import Interval, newcombe_paired, paired_ratio, sum_of_independent
from baleen.report.run_data import Evaluated, Run, pool

DOMAINS = {"math": "Mathematics", "logic": "Logic", "tool": "Tool use", "interpreter": "Code interpreter"}
"""Names for people; other domains are called as they are."""
Answers = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class AttentionLosses:
    """Held-out loss of one kind of text, nats per token, by how the model attends, and ratios to the dense one."""

    kind: str
    dense: float
    sparse: float
    random: float
    sparse_over_dense: Interval
    random_over_dense: Interval


@dataclass(frozen=True)
class Rise:
    """Accuracy on the same tasks, before and after, and the paired difference."""

    before: float
    after: float
    rise: Interval


@dataclass(frozen=True)
class SpecialeEffect:
    """The hard tasks together, before and after the penalty is lifted."""

    before: Evaluated
    after: Evaluated
    rise: Interval
    tokens_ratio: Interval


def attention_losses(run: Run) -> list[AttentionLosses]:
    """By kind of text, after the sparse stage, else after the warm-up; none where rows were not recorded."""
    for stage in reversed(run.of_kind("sparse", "index_warmup")):
        summary = run.stages[stage].summary if stage in run.stages else {}
        kinds = [("Real text", summary.get("text")), ("Tasks", summary.get("tasks"))]
        known = [_losses(name, values) for name, values in kinds if values and "rows" in values]
        if known:
            return known
    return []


def _losses(kind: str, values: Mapping[str, Any]) -> AttentionLosses:
    rows = values["rows"]
    dense, sparse, random = (float(values[f"{way}_loss"]) for way in ("dense", "sparse", "random_indexer"))
    sparse_ratio, random_ratio = (
        paired_ratio(rows[way], rows["dense"]) for way in ("sparse", "random_indexer")
    )
    return AttentionLosses(kind, dense, sparse, random, sparse_ratio, random_ratio)


def specialist_of(run: Run, domain: str) -> str | None:
    """The last finished RL stage that practices `domain` alone and is judged on it."""
    own = [name for name in run.judged_on("own") if name in run.stages]
    return next((name for name in reversed(own) if run.stages[name].domains == (domain,)), None)


def specialist_rise(run: Run, domain: str) -> Rise | None:
    """The specialist of `domain` against the model it began with, on the tasks of its domain that are not hard."""
    specialist = specialist_of(run, domain)
    before = run.recipe.parent(specialist) if specialist else None
    if specialist is None or before is None:
        return None
    return _rise(
        *(
            [a for a in answers_of(run, stage, hard=False) if a["domain"] == domain]
            for stage in (before, specialist)
        )
    )


def mean_rise(rises: Sequence[Rise]) -> Interval:
    """Mean of at least one domain's rise; the domains share no task."""
    return Interval(*(bound / len(rises) for bound in sum_of_independent([found.rise for found in rises])))


def speciale_effect(run: Run) -> SpecialeEffect | None:
    """The hard tasks together, Speciale against the model it began with."""
    stages = speciale_stages(run)
    if stages is None:
        return None
    before, after = (answers_of(run, stage, hard=True) for stage in stages)
    found = _rise(before, after)
    rows = [rows_of(run, stage) for stage in stages]
    hard = [[row for row in of_stage if row.hard] for of_stage in rows]
    if found is None or not all(hard):
        return None
    then, now = ([float(a["think_tokens"]) for a in answers] for answers in (before, after))
    longer = paired_ratio(now, then)
    return SpecialeEffect(pool(hard[0]), pool(hard[1]), found.rise, longer)


def speciale_stages(run: Run) -> tuple[str, str] | None:
    """The last stage that is judged on the hard tasks, after the one whose model it begins with."""
    last = next(reversed(run.judged_on("hard")), None)
    before = run.recipe.parent(last) if last else None
    return (before, last) if last and before else None


def answers_of(run: Run, stage: str, hard: bool) -> Answers:
    """What `stage` answered to each held-out task, either the hard ones or the others."""
    result = run.stages.get(stage)
    if result is None:
        return []
    hard_kinds = {(row.family, row.difficulty) for row in result.evals if row.hard}
    return [a for a in result.answers if ((a["family"], a["difficulty"]) in hard_kinds) == hard]


def rows_of(run: Run, stage: str, domain: str | None = None, mode: str = "thinking") -> list[Evaluated]:
    """The evaluations after `stage`, by kind of task."""
    result = run.stages.get(stage)
    rows = result.evals if result else ()
    return [row for row in rows if row.mode == mode and domain in (None, row.domain)]


def _rise(before: Answers, after: Answers) -> Rise | None:
    """None unless both answered the same tasks in the same order."""
    kinds = [[(a["family"], a["difficulty"]) for a in answers] for answers in (before, after)]
    if not before or kinds[0] != kinds[1]:
        return None
    then, now = ([bool(a["correct"]) for a in answers] for answers in (before, after))
    return Rise(sum(then) / len(then), sum(now) / len(now), newcombe_paired(now, then))
