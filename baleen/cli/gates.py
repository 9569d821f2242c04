"""What each stage of the quickstart was for, as assertions on its figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from baleen.evaluation.intervals import newcombe_paired

Gate = dict[str, Any]
Answers = Sequence[Mapping[str, Any]]
"""What `measure.answers_of` tells of each held-out task; two stages' answers are to the same tasks in one order."""


def gate(name: str, value: float, relation: str, limit: float, hint: str) -> Gate:
    """One assertion: `value` `relation` `limit`; `hint` says where to look when it fails."""
    passed = value >= limit if relation == ">=" else value <= limit
    return {
        "name": name,
        "value": value,
        "limit": limit,
        "relation": relation,
        "passed": bool(passed),
        "hint": hint,
    }


def pretrain_gates(load: list[list[float]]) -> list[Gate]:
    worst = max(max(layer) * len(layer) for layer in load)
    return [
        gate("busiest expert's load over the mean", worst, "<=", 2.0, "raise pretrain.bias_update or steps")
    ]


def warmup_gates(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Gate]:
    """`before` and `after` are `measure.indexer_figures`."""
    return [
        gate(
            "indexer KL, times smaller",
            before["kl"] / after["kl"],
            ">=",
            3.0,
            "raise dsa_warmup.steps or adam_lr",
        ),
        gate(
            "attention mass in the top-k",
            after["recall"],
            ">=",
            0.8,
            "raise dsa_warmup.steps or the preset's index_topk",
        ),
    ]


def sparse_gates(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Gate]:
    """Both are `measure.indexer_figures`; dense attention may read with the weights of either, the better counts."""

    def loss(figures: Mapping[str, Any], kind: str, *parts: str) -> float:
        return sum(figures[part][f"{kind}_loss"] for part in parts)

    found = []
    for title, parts in (("real text", ("text",)), ("real text and tasks", ("text", "tasks"))):
        dense = min(loss(before, "dense", *parts), loss(after, "dense", *parts))
        ratio = loss(after, "sparse", *parts) / dense
        found.append(gate(f"sparse over dense loss, {title}", ratio, "<=", 1.05, "raise dsa_sparse.steps"))
    random = loss(after, "random_indexer", "text", "tasks") / loss(after, "sparse", "text", "tasks")
    hint = "attention hardly needs to choose: raise dsa_sparse.length"
    return [*found, gate("random-indexer over trained loss", random, ">=", 1.2, hint)]


def sft_gates(answers: Answers) -> list[Gate]:
    share = mean(answers, "well_formed")
    return [gate("answers in the chat format", share, ">=", 0.9, "raise sft.steps")]


def specialist_gates(domain: str, after: Answers, before: Answers) -> list[Gate]:
    """The specialist against the SFT model on the held-out tasks of its domain."""
    after, before = of_domain(after, domain), of_domain(before, domain)
    rise = newcombe_paired([a["correct"] for a in after], [a["correct"] for a in before])
    hint = (
        f"look at specialist_{domain}'s reward: flat from the start means that SFT left nothing to reinforce"
    )
    found = [
        gate("rise of held-out accuracy", rise.estimate, ">=", 0.1, hint),
        gate("lower end of its 95 % interval", rise.low, ">=", 0.001, hint),
    ]
    if domain == "tool":
        found.append(gate("held-out accuracy", mean(after, "correct"), ">=", 0.9, hint))
    return found


def distill_gates(student: Answers, teachers: Mapping[str, Answers]) -> list[Gate]:
    """`teachers`: domain -> its specialist's answers."""
    return [
        gate(
            f"student less specialist, {domain}",
            mean(of_domain(student, domain), "correct") - mean(of_domain(teacher, domain), "correct"),
            ">=",
            -0.05,
            "raise distill.steps or distill.prompts",
        )
        for domain, teacher in teachers.items()
    ]


def mixed_gates(after: Answers, before: Answers) -> list[Gate]:
    domains = sorted({answer["domain"] for answer in after})
    rise = sum(
        mean(of_domain(after, domain), "correct") - mean(of_domain(before, domain), "correct")
        for domain in domains
    )
    hint = "lower mixed.length_penalty or raise mixed.kl"
    return [gate("rise of accuracy, summed over domains", rise, ">=", 0.0, hint)]


def speciale_gates(after: Answers, before: Answers) -> list[Gate]:
    """Speciale against the penalised model, on the hard tasks."""
    longer = mean(after, "think_tokens") / max(1e-9, mean(before, "think_tokens"))
    hint = "raise speciale.steps, or mixed.length_penalty for a terser start"
    return [
        gate("thinking on hard tasks, times longer", longer, ">=", 1.01, hint),
        gate(
            "rise of accuracy on hard tasks",
            mean(after, "correct") - mean(before, "correct"),
            ">=",
            0.01,
            hint,
        ),
    ]


def of_hardness(answers: Answers, hard: Mapping[str, Sequence[int]], wanted: bool) -> Answers:
    """The answers to hard tasks, or to the others. `hard`: family -> difficulties."""
    return [a for a in answers if is_hard(a, hard) == wanted]


def is_hard(row: Mapping[str, Any], hard: Mapping[str, Sequence[int]]) -> bool:
    """Whether `row`, of an answer or of a kind of task, is one of the hard ones."""
    return row["difficulty"] in hard.get(row["family"], ())


def of_domain(answers: Answers, domain: str) -> Answers:
    return [answer for answer in answers if answer["domain"] == domain]


def mean(answers: Answers, field: str) -> float:
    return sum(answer[field] for answer in answers) / max(1, len(answers))
