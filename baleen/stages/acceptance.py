"""The acceptance checks of each kind of stage, as statistical tests on its results."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from baleen.config.stages import AnyStage, RLStage
from baleen.evaluation.intervals import Interval, newcombe_paired, paired_ratio, sum_of_independent, wilson
from baleen.stages.checks import Check, check, finite

Answers = Sequence[Mapping[str, Any]]
"""What `measure.answers_of` tells of each held-out task; two stages' answers are to the same tasks in one order."""
Chosen = Callable[[Answers], Answers]
MARGIN = -0.05  # how far the student may fall behind a specialist
BUDGETS = 6


def base_checks(
    stage: AnyStage, load: list[list[float]], before: Mapping[str, Any], after: Mapping[str, Any]
) -> list[Check]:
    """The checks of a stage that does not train on conversations.

    Args:
        stage: the stage.
        load: `measure.expert_load` after it.
        before: `measure.indexer_figures` before it.
        after: the same after it.
    """
    if stage.kind == "pretrain":
        return pretrain_checks(stage.name, load)
    return (warmup_checks if stage.kind == "index_warmup" else sparse_checks)(stage.name, before, after)


def pretrain_checks(name: str, load: list[list[float]]) -> list[Check]:
    """The load of the busiest expert, over the mean of its layer."""
    worst = max((max(layer) * len(layer) for layer in load), default=1.0)
    hint = f"raise {name}.bias_update_speed or {name}.steps"
    change = (f"{name}.bias_update_speed", 2.0)
    return [check("busiest expert's load over the mean", worst, "<=", 2.0, hint, change=change)]


def warmup_checks(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Check]:
    """The indexer's KL before over after, and the mass of dense attention in the top-k."""
    change = (f"{name}.steps", 1.5)
    smaller, mass = before["kl"] / after["kl"], after["recall"]
    hint = f"raise {name}.steps or {name}.adam_lr"
    wider = f"raise {name}.steps or sizes.index_topk"
    return [
        check("indexer KL, times smaller", smaller, ">=", 3.0, hint, change=change),
        check("attention mass in the top-k", mass, ">=", 0.8, wider, change=change),
    ]


def sparse_checks(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Check]:
    """The sparse loss against the dense one, and against that of random indexers.

    The dense loss is the better of two: with the weights before the stage, or after it.
    """

    def rows(figures: Mapping[str, Any], kind: str, parts: Sequence[str]) -> list[float]:
        return [share for part in parts for share in figures[part]["rows"][kind]]

    found = []
    both = ("text", "tasks")
    for title, parts in (("real text", ("text",)), ("real text and tasks", both)):
        dense = min(rows(before, "dense", parts), rows(after, "dense", parts), key=sum)
        sparse = rows(after, "sparse", parts)
        hint, change = f"raise {name}.steps", (f"{name}.steps", 1.5)
        ratio = paired_ratio(sparse, dense)
        found.append(
            check(f"sparse over dense loss, {title}", ratio, "<=", 1.05, hint, len(sparse), change=change)
        )
    sparse = rows(after, "sparse", both)
    random = paired_ratio(rows(after, "random_indexer", both), sparse)
    hint = f"attention hardly needs to choose: raise {name}.seq_len"
    change = (f"{name}.seq_len", 1.5)
    return [
        *found,
        check("random-indexer over trained loss", random, ">=", 1.2, hint, len(sparse), change=change),
    ]


def sft_checks(stage: AnyStage, answers: Answers) -> list[Check]:
    """The share of the answers in the chat format."""
    share = _share(answers, "well_formed")
    hint, change = f"raise {stage.name}.steps", (f"{stage.name}.steps", 1.5)
    return [check("answers in the chat format", share, ">=", 0.9, hint, len(answers), change)]


def rise_checks(stage: RLStage, after: Answers, before: Answers, kind: str) -> list[Check]:
    """The accuracy of an RL stage against that of the model it started from, on the tasks that `kind` describes."""
    hint = f"raise {stage.name}.steps; a reward flat from the start means there was nothing to reinforce"
    change = (f"{stage.name}.steps", 1.5)
    found = [check(f"rise of {kind}", paired_rise(after, before), ">", 0.0, hint, len(after), change)]
    if stage.min_accuracy:
        share = _share(after, "correct")
        found.append(check("held-out accuracy", share, ">=", stage.min_accuracy, hint, len(after), change))
    return found


def distill_checks(
    stage: AnyStage, student: Answers, teachers: Mapping[str, Mapping[str, Any]], mine: Chosen
) -> list[Check]:
    """The student against each teacher, in the teacher's domains.

    Args:
        stage: the student's stage.
        student: the student's answers.
        teachers: for each teacher's stage, its record.
        mine: chooses the answers that count.
    """
    found = []
    for name, record in teachers.items():
        domains = record["domains"]
        theirs, own = (of_domains(mine(answers), domains) for answers in (record["answers"], student))
        hint = f"raise {stage.name}.steps or {stage.name}.teachers.{name}"
        change = (f"{stage.name}.steps", 1.5)
        title = f"student less specialist, {', '.join(domains)}"
        lead = paired_rise(own, theirs)
        found.append(check(title, lead, ">=", MARGIN, hint, len(own), change))
    return found


def joint_checks(stage: AnyStage, after: Answers, before: Answers) -> list[Check]:
    """The rise of accuracy, summed over the domains.

    The domains' paired rises are independent, since no task is in two of them, so the sum has an interval.
    """
    domains = sorted({answer["domain"] for answer in after})
    rises = [paired_rise(of_domains(after, [domain]), of_domains(before, [domain])) for domain in domains]
    hint = f"lower {stage.name}.length_penalty or raise {stage.name}.kl"
    change = (f"{stage.name}.length_penalty", 0.5)
    total = sum_of_independent(rises)
    return [check("rise of accuracy, summed over domains", total, ">=", 0.0, hint, len(after), change)]


def answer_checks(
    stage: AnyStage,
    answers: Answers,
    hard: Mapping[str, Sequence[int]],
    before: Callable[[], Answers],
    teachers: Mapping[str, Mapping[str, Any]],
    domains: Sequence[str],
) -> tuple[list[Check], dict[str, Any]]:
    """The checks of an evaluated stage.

    Args:
        stage: the stage.
        answers: the answers after it.
        hard: for each family, the difficulties of the hard tasks, which only stages judged on them use.
        before: gives the answers of the model that the stage started from.
        teachers: for each teacher's stage, its record.
        domains: those that the stage trains on.

    Returns:
        The checks, and further results for the stage's record.
    """
    wanted = isinstance(stage, RLStage) and stage.judged_on == "hard"
    mine = partial(of_hardness, hard=hard, wanted=wanted)
    if not isinstance(stage, RLStage):
        found = distill_checks(stage, answers, teachers, mine) if teachers else sft_checks(stage, answers)
        return found, {}
    after, then = mine(answers), mine(before())
    if stage.judged_on == "all":
        return joint_checks(stage, after, then), {}
    if stage.judged_on == "hard":
        told = {"budgets": budgets(after, then), "thinking": thinking(after, then)}
        return rise_checks(stage, after, then, "accuracy on hard tasks"), told
    after, then = of_domains(after, domains), of_domains(then, domains)
    return rise_checks(stage, after, then, "held-out accuracy"), {}


def thinking(after: Answers, before: Answers) -> dict[str, float | None]:
    """Mean thinking tokens before and after, and their ratio with its interval. Reported, not checked."""
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
    """Accuracy at each token budget: an answer counts only if its completion fits. Reported, not checked.

    The budgets are quantiles of all completion lengths; at the last one, the longest, every answer counts.
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
    """The rise in accuracy over the same tasks."""
    return newcombe_paired([a["correct"] for a in after], [a["correct"] for a in before])


def of_hardness(answers: Answers, hard: Mapping[str, Sequence[int]], wanted: bool) -> Answers:
    """The answers to the hard tasks if `wanted`, else those to the others. `hard`: difficulties of each family."""
    return [a for a in answers if is_hard(a, hard) == wanted]


def is_hard(row: Mapping[str, Any], hard: Mapping[str, Sequence[int]]) -> bool:
    """Whether `row`, of an answer or of a kind of task, is one of the hard ones."""
    return row["difficulty"] in hard.get(row["family"], ())


def of_domains(answers: Answers, domains: Sequence[str]) -> Answers:
    """The answers to tasks of these domains."""
    return [answer for answer in answers if answer["domain"] in domains]


def _share(answers: Answers, field: str) -> Interval:
    return wilson(sum(answer[field] for answer in answers), len(answers))
