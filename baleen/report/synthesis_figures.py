"""Figures of a synthesis run, for its progress line and its summary."""

from collections import Counter
from collections.abc import Sequence

from baleen.evaluation.attempts import pass_at_k
from baleen.evaluation.intervals import Interval, bootstrap_mean, wilson
from baleen.synthesis import Verdict


def progress_metrics(verdicts: Sequence[Verdict]) -> dict[str, float]:
    """Kept candidates, tasks, and dollars spent on models, if any."""
    metrics = {
        "kept": float(sum(bool(verdict.tasks) for verdict in verdicts)),
        "tasks": float(sum(len(verdict.tasks) for verdict in verdicts)),
    }
    dollars = sum(verdict.usage.get("dollars", 0.0) for verdict in verdicts)
    return metrics | ({"dollars": dollars} if dollars else {})


def tasks_by_difficulty(verdicts: Sequence[Verdict]) -> dict[int, int]:
    """How many tasks of general environments have each difficulty, the easiest first."""
    return dict(sorted(Counter(level for verdict in verdicts for level in verdict.facts["levels"]).items()))


def refused_outcomes(verdicts: Sequence[Verdict]) -> int:
    """How many wrong outcomes the verifications of general environments refused."""
    return sum(verdict.facts["mutants"] for verdict in verdicts)


def rejected_proposals(verdicts: Sequence[Verdict]) -> Counter[str]:
    """How often proposals for general environments were rejected, by reason."""
    return sum((Counter(verdict.facts["rejected"]) for verdict in verdicts), Counter[str]())


def pass_rates(verdicts: Sequence[Verdict]) -> tuple[int, dict[int, Interval]]:
    """How often a model solves tasks of general environments.

    Returns:
        How many tasks it tried, and pass@k over them for k = 1 and for the most attempts that every task had.
    """
    tried = [row for verdict in verdicts for row in verdict.facts["attempts"] if row["made"]]
    if not tried:
        return 0, {}
    most = min(row["made"] for row in tried)
    return len(tried), {
        k: bootstrap_mean([pass_at_k(row["made"], row["solved"], k) for row in tried])
        for k in sorted({1, most})
    }


def solved_attempts(verdicts: Sequence[Verdict]) -> tuple[int, int, Interval]:
    """(attempts solved, attempts made, their share) of a model at the interpreter problems that were kept."""
    tried = [verdict.facts for verdict in verdicts if verdict.tasks and "solved" in verdict.facts]
    solved, made = (sum(facts[name] for facts in tried) for name in ("solved", "attempts"))
    return solved, made, wilson(solved, made)
