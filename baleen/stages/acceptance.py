"""What each stage of the quickstart must show, as statistical checks on its figures."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from baleen.evaluation.intervals import Interval, newcombe_paired, paired_ratio, sum_of_independent, wilson
from baleen.stages.checks import Check, check, finite
from baleen.stages.lineage import DOMAINS, PARENTS

Answers = Sequence[Mapping[str, Any]]
"""What `measure.answers_of` tells of each held-out task; two stages' answers are to the same tasks in one order."""
MARGIN = -0.05  # how far the student may fall behind a specialist
BUDGETS = 6


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
        found.append(check(f"student less specialist, {domain}", lead, ">=", MARGIN, hint, len(mine), change))
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


def answer_checks(
    stage: str, answers: Answers, hard: Mapping[str, Sequence[int]], answers_of: Callable[[str], Answers]
) -> tuple[list[Check], dict[str, Any]]:
    """The checks of a stage from SFT on, and what its record tells beside them.

    hard: family -> difficulties of the hard tasks, which are Speciale's alone. answers_of: those of an earlier stage.
    """
    mine = partial(of_hardness, hard=hard, wanted=stage == "speciale")
    after, parent = mine(answers), PARENTS[stage]
    assert parent is not None, f"{stage} has no stage before it"
    before = mine(answers_of(parent)) if stage not in ("sft", "distill") else ()
    if stage == "sft":
        return sft_checks(answers), {}
    if stage == "distill":
        return distill_checks(after, {d: mine(answers_of(f"specialist_{d}")) for d in DOMAINS}), {}
    if stage == "mixed":
        return mixed_checks(after, before), {}
    if stage == "speciale":
        told = {"budgets": budgets(after, before), "thinking": thinking(after, before)}
        return speciale_checks(after, before), told
    return specialist_checks(stage.removeprefix("specialist_"), after, before), {}


def thinking(after: Answers, before: Answers) -> dict[str, float | None]:
    """Mean thinking tokens before and after, and their ratio with its interval: told, not judged."""
    now, then = ([float(a["think_tokens"]) for a in answers] for answers in (after, before))
    ratio = paired_ratio(now, then)
    n = max(1, len(now))
    return {
        "before": sum(then) / n,
        "after": sum(now) / n,
        "ratio": finite(ratio.estimate),
        "low": finite(ratio.low),
        "high": finite(ratio.high),
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
            [a["correct"] and a["completion_tokens"] <= budget for a in answers]
            for answers in (after, before)
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


def _share(answers: Answers, field: str) -> Interval:
    return wilson(sum(answer[field] for answer in answers), len(answers))
