"""What the report says: the verdict, the key numbers, and the rows of its table, computed from a run."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from baleen.evaluation.formats import figures
from baleen.evaluation.run_data import STAGES, Evaluated, Run, StageResult, pool

DOMAINS = {"math": "Mathematics", "logic": "Logic", "tool": "Tool use"}
CONTEXT_RATIO = 16  # cost is compared at this many times index_topk


@dataclass(frozen=True)
class Tile:
    """One key number with what it means."""

    value: str
    label: str


@dataclass(frozen=True)
class JourneyRow:
    """A stage on the time line, `start` and `share` in parts of the run's time. No result before it ran."""

    name: str
    title: str
    result: StageResult | None
    steps_so_far: int
    start: float
    share: float


@dataclass(frozen=True)
class TableRow:
    """A kind of task, or a whole domain (`difficulty` 0), and its evaluations by stage."""

    domain: str
    label: str
    is_total: bool
    cells: Mapping[str, Evaluated]


@dataclass(frozen=True)
class CostSummary:
    """Attention's time at `CONTEXT_RATIO` × index_topk against that at index_topk, and dense against DSA.

    core_growth: (dense, DSA) without projections and indexer; None where it was not timed.
    """

    topk: int
    position: int
    dense_growth: float
    dsa_growth: float
    dense_over_dsa: float
    core_growth: tuple[float, float] | None = None


@dataclass(frozen=True)
class SpecialeSummary:
    """The hard tasks together, before and after the penalty is lifted."""

    before: Evaluated
    after: Evaluated

    @property
    def points(self) -> float:
        return 100 * (self.after.accuracy.estimate - self.before.accuracy.estimate)

    @property
    def tokens_ratio(self) -> float:
        return self.after.think_tokens / self.before.think_tokens if self.before.think_tokens else math.nan


def verdict(run: Run) -> tuple[str, str]:
    """(state, sentence); the state is "passed", "uncertain", "failed" or "unfinished"."""
    checks = run.checks
    failed, uncertain = (sum(check.state == state for check in checks) for state in ("failed", "uncertain"))
    if failed:
        return "failed", f"{failed} of {len(checks)} checks failed"
    if len(run.stages) < len(STAGES):
        return "unfinished", f"{len(run.stages)} of {len(STAGES)} stages have run"
    if uncertain:
        return "uncertain", f"no check failed, {uncertain} of {len(checks)} uncertain"
    return "passed", f"all {len(checks)} checks passed" if checks else "finished, not judged"


def journey(run: Run) -> list[JourneyRow]:
    total = sum(stage.seconds for stage in run.stages.values()) or 1.0
    rows, start = [], 0.0
    for name, title in STAGES.items():
        result = run.stages.get(name)
        share = result.seconds / total if result else 0.0
        steps = max((line["step"] for line in run.metrics.get(name, ())), default=0)
        rows.append(JourneyRow(name, title, result, steps, start, share))
        start += share
    return rows


def tiles(run: Run) -> list[Tile]:
    """The key numbers that this run can tell."""
    found: list[Tile] = []
    for name, dense, sparse, _ in attention_losses(run)[:1]:
        excess = 100 * (sparse / dense - 1)
        found.append(Tile(f"{excess:+.1f}\u00a0%", f"loss with sparse attention, {name.lower()}"))
    cost = cost_summary(run)
    if cost:
        if cost.core_growth:
            dense, sparse = cost.core_growth
            label = (
                f"time to read the context, from {cost.topk} to {cost.position:,} tokens; dense: {dense:.1f}×"
            )
            found.append(Tile(f"{sparse:.1f}×", label))
        else:
            label = f"less time in attention with DSA, {cost.position:,} tokens into the context"
            found.append(Tile(f"{cost.dense_over_dsa:.1f}×", label))
    rises = [rise for domain in DOMAINS if (rise := specialist_rise(run, domain))]
    if rises:
        mean = sum(after - before for before, after in rises) / len(rises)
        found.append(Tile(f"{100 * mean:+.0f} points", "held-out accuracy of a specialist in its domain"))
    hard = speciale_summary(run)
    if hard:
        label = f"Speciale on the hard tasks, thinking {hard.tokens_ratio:.1f}× as long"
        found.append(Tile(f"{hard.points:+.0f} points", label))
    gap = mismatch(run)
    if gap is not None:
        found.append(Tile(figures(gap, 1), "mean |Δ log-prob| between engine and trainer"))
    return found


def specialist_rise(run: Run, domain: str) -> tuple[float, float] | None:
    """Accuracy in `domain` of the SFT model and of its specialist."""
    accuracies = []
    for stage in ("sft", f"specialist_{domain}"):
        rows = [row for row in _rows(run, stage, domain) if not row.hard]
        if not rows:
            return None
        accuracies.append(pool(rows).accuracy.estimate)
    return accuracies[0], accuracies[1]


def mismatch(run: Run) -> float | None:
    """Mean over all RL steps of the mean |Δ log-probability|."""
    values = [value for stage in STAGES for value in run.curve(stage, "mean_abs_dlogp")[1]]
    return sum(values) / len(values) if values else None


def attention_losses(run: Run) -> list[tuple[str, float, float, float]]:
    """(kind of text, dense, sparse, random indexer) after the sparse stage, else after the warm-up."""
    for stage in ("dsa_sparse", "dsa_warmup"):
        summary: Mapping[str, Any] = run.stages[stage].summary if stage in run.stages else {}
        kinds = [("Real text", summary.get("text")), ("Tasks", summary.get("tasks"))]
        told = [(name, _losses(values)) for name, values in kinds if values]
        if not told:
            told = [("Held-out text", _losses(summary))]
        known = [(name, *losses) for name, losses in told if losses]
        if known:
            return known
    return []


def _losses(summary: Mapping[str, Any]) -> tuple[float, float, float] | None:
    names = ("dense_loss", "sparse_loss", "random_indexer_loss")
    values = [summary.get(name) for name in names]
    if any(value is None for value in values):
        return None
    dense, sparse, untrained = (float(value) for value in values if value is not None)
    return dense, sparse, untrained


def cost_summary(run: Run) -> CostSummary | None:
    """None unless attention was timed at index_topk and at `CONTEXT_RATIO` times that, or nearby."""
    cost = run.cost
    if not cost or not cost.get("dense_attention_ms") or not cost.get("dsa_attention_ms"):
        return None
    positions, topk = cost["positions"], cost["index_topk"]
    near, far = (_nearest(positions, wanted) for wanted in (topk, CONTEXT_RATIO * topk))
    dense, dsa = cost["dense_attention_ms"], cost["dsa_attention_ms"]
    if near == far or not (dense[near] and dsa[near] and dsa[far]):
        return None
    cores = [cost.get(f"{name}_core_ms") for name in ("dense", "dsa")]
    growth = tuple(core[far] / core[near] for core in cores if core and core[near])
    return CostSummary(
        topk,
        positions[far],
        dense[far] / dense[near],
        dsa[far] / dsa[near],
        dense[far] / dsa[far],
        (growth[0], growth[1]) if len(growth) == 2 else None,
    )


def _nearest(positions: Sequence[int], wanted: int) -> int:
    return min(range(len(positions)), key=lambda i: abs(positions[i] - wanted))


def speciale_summary(run: Run) -> SpecialeSummary | None:
    """The hard tasks together, the mixed model against Speciale."""
    before, after = ([row for row in _rows(run, s, None) if row.hard] for s in ("mixed", "speciale"))
    return SpecialeSummary(pool(before), pool(after)) if before and after else None


def task_table(run: Run, mode: str) -> tuple[list[str], list[TableRow]]:
    """Stages that were evaluated in `mode`, and for each domain its total, hard tasks apart, and its kinds of tasks."""
    stages = [name for name in STAGES if name in run.stages and _rows(run, name, None, mode)]
    cells: dict[tuple[str, str, int], dict[str, Evaluated]] = {}
    for stage in stages:
        for row in _rows(run, stage, None, mode):
            cells.setdefault((row.domain, row.family, row.difficulty), {})[stage] = row
    order = list(DOMAINS)
    keys = sorted(cells, key=lambda key: order.index(key[0]) if key[0] in order else len(order))
    table = []
    for domain, members in groupby(keys, key=lambda key: key[0]):
        kinds = list(members)
        scored = {s: [row for row in _rows(run, s, domain, mode) if not row.hard] for s in stages}
        totals = {stage: pool(rows) for stage, rows in scored.items() if rows}
        table.append(TableRow(domain, DOMAINS.get(domain, domain), True, totals))
        for _, family, difficulty in kinds:
            found = cells[domain, family, difficulty]
            hard = ", hard" if any(row.hard for row in found.values()) else ""
            table.append(TableRow(domain, f"{family} d{difficulty}{hard}", False, found))
    return stages, table


def _rows(run: Run, stage: str, domain: str | None, mode: str = "thinking") -> list[Evaluated]:
    result = run.stages.get(stage)
    rows = result.evals if result else ()
    return [row for row in rows if row.mode == mode and domain in (None, row.domain)]
