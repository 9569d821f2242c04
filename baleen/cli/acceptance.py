"""What each stage of the quickstart must show, as statistical checks on its figures.

A check fails only where its 95 % interval excludes the bound on the wrong side. Where the interval straddles the
bound, the check is uncertain: `n_needed` says about how many held-out items would decide it. A figure without a
noise model (no interval) is compared as it is.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from baleen.evaluation.intervals import Interval, newcombe_paired, paired_ratio, sum_of_independent, wilson

Check = dict[str, Any]
Answers = Sequence[Mapping[str, Any]]
"""What `measure.answers_of` tells of each held-out task; two stages' answers are to the same tasks in one order."""
MARGIN = -0.05  # how far the student may fall behind a specialist
BUDGETS = 6


def check(
    name: str,
    found: Interval | float,
    relation: str,
    bound: float,
    hint: str,
    n: int | None = None,
    change: tuple[str, float] | None = None,
) -> Check:
    """One check: `found` `relation` (">", ">=" or "<=") `bound`, measured on `n` held-out items.

    hint: what to do when it fails. change: the recipe's key to change then, and the factor.
    """
    has_interval = isinstance(found, Interval)
    interval = found if isinstance(found, Interval) else Interval(found, found, found)
    state = _state(interval, relation, bound)
    return {
        "name": name,
        "estimate": _finite(interval.estimate),
        "low": _finite(interval.low) if has_interval else None,
        "high": _finite(interval.high) if has_interval else None,
        "bound": bound,
        "relation": relation,
        "state": state,
        "n": n,
        "n_needed": _n_needed(interval, bound, n) if state == "uncertain" else None,
        "hint": hint,
        "change": change,
    }


def _state(found: Interval, relation: str, bound: float) -> str:
    """A figure without an interval comes as one without width; one that is not a number has failed."""
    low, high = (-found.high, -found.low) if relation == "<=" else (found.low, found.high)
    bound = -bound if relation == "<=" else bound
    if low > bound or (low == bound and relation != ">"):
        return "passed"
    return "uncertain" if low < high and high >= bound else "failed"


def _n_needed(interval: Interval, bound: float, n: int | None) -> int | None:
    """Items at which the interval, whose width falls as 1/√n, would reach from the estimate to the bound.

    None where no number of items would do: the estimate lies on the bound, or nothing was measured.
    """
    distance = abs(interval.estimate - bound)
    if not n or not distance > 0:  # also where the estimate is nan
        return None
    reach = interval.estimate - interval.low if interval.estimate > bound else interval.high - interval.estimate
    return math.ceil(n * (reach / distance) ** 2)


def pretrain_checks(load: list[list[float]]) -> list[Check]:
    worst = max(max(layer) * len(layer) for layer in load)
    hint, change = "raise pretrain.bias_update or pretrain.steps", ("pretrain.bias_update", 2.0)
    return [check("busiest expert's load over the mean", worst, "<=", 2.0, hint, change=change)]


def warmup_checks(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Check]:
    """`before` and `after` are `measure.indexer_figures`."""
    change = ("dsa_warmup.steps", 1.5)
    smaller, mass = before["kl"] / after["kl"], after["recall"]
    hint = "raise dsa_warmup.steps or dsa_warmup.adam_lr"
    wider = "raise dsa_warmup.steps or sizes.index_topk"
    return [
        check("indexer KL, times smaller", smaller, ">=", 3.0, hint, change=change),
        check("attention mass in the top-k", mass, ">=", 0.8, wider, change=change),
    ]


def sparse_checks(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Check]:
    """Both are `measure.indexer_figures`; dense attention may read with the weights of either, the better counts."""

    def rows(figures: Mapping[str, Any], kind: str, parts: Sequence[str]) -> list[float]:
        return [share for part in parts for share in figures[part]["rows"][kind]]

    found = []
    both = ("text", "tasks")
    for title, parts in (("real text", ("text",)), ("real text and tasks", both)):
        dense = min(rows(before, "dense", parts), rows(after, "dense", parts), key=sum)
        sparse = rows(after, "sparse", parts)
        hint, change = "raise dsa_sparse.steps", ("dsa_sparse.steps", 1.5)
        ratio = paired_ratio(sparse, dense)
        found.append(
            check(f"sparse over dense loss, {title}", ratio, "<=", 1.05, hint, len(sparse), change=change)
        )
    sparse = rows(after, "sparse", both)
    random = paired_ratio(rows(after, "random_indexer", both), sparse)
    hint = "attention hardly needs to choose: raise dsa_sparse.length"
    change = ("dsa_sparse.length", 1.5)
    return [
        *found,
        check("random-indexer over trained loss", random, ">=", 1.2, hint, len(sparse), change=change),
    ]


def sft_checks(answers: Answers) -> list[Check]:
    share = _share(answers, "well_formed")
    hint, change = "raise sft.steps", ("sft.steps", 1.5)
    return [check("answers in the chat format", share, ">=", 0.9, hint, len(answers), change)]


def specialist_checks(domain: str, after: Answers, before: Answers) -> list[Check]:
    """The specialist against the SFT model on the held-out tasks of its domain."""
    after, before = of_domain(after, domain), of_domain(before, domain)
    stage = f"specialist_{domain}"
    hint = f"raise {stage}.steps; a reward flat from the start means that SFT left nothing to reinforce"
    change = (f"{stage}.steps", 1.5)
    rise = paired_rise(after, before)
    found = [check("rise of held-out accuracy", rise, ">", 0.0, hint, len(after), change)]
    if domain == "tool":
        share = _share(after, "correct")
        found.append(check("held-out accuracy", share, ">=", 0.9, hint, len(after), change))
    return found


def distill_checks(student: Answers, teachers: Mapping[str, Answers]) -> list[Check]:
    """`teachers`: domain -> its specialist's answers."""
    found = []
    for domain, teacher in teachers.items():
        mine = of_domain(student, domain)
        lead = paired_rise(mine, of_domain(teacher, domain))
        hint, change = "raise distill.steps or distill.prompts", ("distill.steps", 1.5)
        found.append(
            check(f"student less specialist, {domain}", lead, ">=", MARGIN, hint, len(mine), change)
        )
    return found


def mixed_checks(after: Answers, before: Answers) -> list[Check]:
    """The domains' paired rises are independent, since no task is in two: their sum has an interval of its own."""
    domains = sorted({answer["domain"] for answer in after})
    rises = [paired_rise(of_domain(after, domain), of_domain(before, domain)) for domain in domains]
    hint, change = "lower mixed.length_penalty or raise mixed.kl", ("mixed.length_penalty", 0.5)
    total = sum_of_independent(rises)
    return [check("rise of accuracy, summed over domains", total, ">=", 0.0, hint, len(after), change)]


def speciale_checks(after: Answers, before: Answers) -> list[Check]:
    """Speciale against the penalized model, on the hard tasks."""
    hint, change = "raise speciale.steps", ("speciale.steps", 1.5)
    rise = paired_rise(after, before)
    return [check("rise of accuracy on hard tasks", rise, ">", 0.0, hint, len(after), change)]


def thinking(after: Answers, before: Answers) -> dict[str, float | None]:
    """Mean thinking tokens before and after, and their ratio with its interval: told, not judged."""
    now, then = ([float(a["think_tokens"]) for a in answers] for answers in (after, before))
    ratio = paired_ratio(now, then)
    n = max(1, len(now))
    return {
        "before": sum(then) / n,
        "after": sum(now) / n,
        "ratio": _finite(ratio.estimate),
        "low": _finite(ratio.low),
        "high": _finite(ratio.high),
    }


def budgets(after: Answers, before: Answers) -> list[dict[str, float]]:
    """Accuracy where an answer counts only if its completion takes at most `budget` tokens; told, not judged.

    The budgets are quantiles of all the completions' lengths; the last one is the longest: everything counts.
    """
    lengths = sorted(answer["completion_tokens"] for answer in (*after, *before))
    if not lengths:
        return []
    steps = [lengths[(len(lengths) * i - 1) // BUDGETS] for i in range(1, BUDGETS + 1)]
    table = []
    for budget in sorted(set(steps)):
        now, then = (
            [a["correct"] and a["completion_tokens"] <= budget for a in answers] for answers in (after, before)
        )
        rise = newcombe_paired(now, then)
        table.append(
            {
                "budget": budget,
                "before": sum(then) / len(then),
                "after": sum(now) / len(now),
                "rise": rise.estimate,
                "low": rise.low,
                "high": rise.high,
            }
        )
    return table


def paired_rise(after: Answers, before: Answers) -> Interval:
    return newcombe_paired([a["correct"] for a in after], [a["correct"] for a in before])


def of_hardness(answers: Answers, hard: Mapping[str, Sequence[int]], wanted: bool) -> Answers:
    """The answers to hard tasks, or to the others. `hard`: family -> difficulties."""
    return [a for a in answers if is_hard(a, hard) == wanted]


def is_hard(row: Mapping[str, Any], hard: Mapping[str, Sequence[int]]) -> bool:
    """Whether `row`, of an answer or of a kind of task, is one of the hard ones."""
    return row["difficulty"] in hard.get(row["family"], ())


def of_domain(answers: Answers, domain: str) -> Answers:
    return [answer for answer in answers if answer["domain"] == domain]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _share(answers: Answers, field: str) -> Interval:
    return wilson(sum(answer[field] for answer in answers), len(answers))
