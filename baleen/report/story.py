"""What the report says: the verdict, the key numbers, and the rows of its table, computed from a run."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby

from baleen.report.decode_times import DecodeTimes
from baleen.report.effects import (
    DOMAINS,
    attention_losses,
    mean_rise,
    rows_of,
    speciale_effect,
    specialist_rise,
)
from baleen.report.formats import change, figures, points, times
from baleen.report.run_data import Evaluated, Run, StageResult, pool


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


def verdict(run: Run) -> tuple[str, str]:
    """(state, sentence); the state is "passed", "uncertain", "failed" or "unfinished"."""
    checks = run.checks
    failed, uncertain = (sum(check.state == state for check in checks) for state in ("failed", "uncertain"))
    if failed:
        return "failed", f"{failed} of {len(checks)} checks failed"
    if len(run.stages) < len(run.titles):
        return "unfinished", f"{len(run.stages)} of {len(run.titles)} stages have run"
    if uncertain:
        return "uncertain", f"no check failed, {uncertain} of {len(checks)} uncertain"
    return "passed", f"all {len(checks)} checks passed" if checks else "finished, not judged"


def journey(run: Run) -> list[JourneyRow]:
    total = sum(stage.seconds for stage in run.stages.values()) or 1.0
    rows, start = [], 0.0
    for name, title in run.titles.items():
        result = run.stages.get(name)
        share = result.seconds / total if result else 0.0
        steps = max((line["step"] for line in run.metrics.get(name, ())), default=0)
        rows.append(JourneyRow(name, title, result, steps, start, share))
        start += share
    return rows


def tiles(run: Run) -> list[Tile]:
    """The key numbers that this run can tell."""
    found: list[Tile] = []
    for losses in attention_losses(run)[:1]:
        value, interval = _split(change(losses.sparse_over_dense))
        found.append(Tile(value, f"loss of sparse over dense attention, {losses.kind.lower()} {interval}"))
    decoding = DecodeTimes.of(run.cost)
    if decoding:
        value, interval = _split(times(decoding.dense_over_dsa("attention")[-1]))
        where = f"{decoding.positions[-1]:,} tokens into the context"
        label = f"the time in attention with dense as with DSA, indexer included, {where} {interval}"
        found.append(Tile(value, label))
    rises = [rise for domain in run.domains if (rise := specialist_rise(run, domain))]
    if rises:
        value, interval = _split(points(mean_rise(rises)))
        label = f"held-out accuracy of a specialist in its domain, mean of {len(rises)} {interval}"
        found.append(Tile(f"{value} points", label))
    hard = speciale_effect(run)
    if hard:
        value, interval = _split(points(hard.rise))
        label = f"Speciale on the hard tasks {interval}, thinking {times(hard.tokens_ratio)} as long"
        found.append(Tile(f"{value} points", label))
    gap = mismatch(run)
    if gap is not None:
        found.append(Tile(figures(gap, 1), "mean |Δ log-prob| between engine and trainer"))
    return found


def _split(text: str) -> tuple[str, str]:
    """Apart: an estimate, and its interval in parentheses."""
    value, _, interval = text.partition(" (")
    return value, f"({interval}"


def mismatch(run: Run) -> float | None:
    """Mean over all RL steps of the mean |Δ log-probability|."""
    values = [value for stage in run.titles for value in run.curve(stage, "mismatch_abs_logprob")[1]]
    return sum(values) / len(values) if values else None


def task_table(run: Run, mode: str) -> tuple[list[str], list[TableRow]]:
    """Stages that were evaluated in `mode`, and for each domain its total, hard tasks apart, and its kinds of tasks."""
    stages = [name for name in run.titles if name in run.stages and rows_of(run, name, None, mode)]
    cells: dict[tuple[str, str, int], dict[str, Evaluated]] = {}
    for stage in stages:
        for row in rows_of(run, stage, None, mode):
            cells.setdefault((row.domain, row.family, row.difficulty), {})[stage] = row
    order = run.domains
    keys = sorted(cells, key=lambda key: order.index(key[0]))
    table = []
    for domain, members in groupby(keys, key=lambda key: key[0]):
        kinds = list(members)
        scored = {s: [row for row in rows_of(run, s, domain, mode) if not row.hard] for s in stages}
        totals = {stage: pool(rows) for stage, rows in scored.items() if rows}
        table.append(TableRow(domain, DOMAINS.get(domain, domain), True, totals))
        for _, family, difficulty in kinds:
            found = cells[domain, family, difficulty]
            hard = ", hard" if any(row.hard for row in found.values()) else ""
            table.append(TableRow(domain, f"{family} d{difficulty}{hard}", False, found))
    return stages, table
