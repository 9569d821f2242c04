"""The figures told at the end of a synthesis, from verdicts written by hand."""

import random
from typing import Any

import pytest

from baleen.environments import sample_task
from baleen.evaluation.intervals import wilson
from baleen.report import synthesis_figures
from baleen.synthesis import Verdict

TASK = sample_task("sum", 3, random.Random(0), "train")


def verdict(name: str, kept: bool = True, dollars: float = 0.0, **facts: Any) -> Verdict:
    usage = {"dollars": dollars}
    return Verdict(
        name, "group", (TASK,) if kept else (), "" if kept else "too easy", usage=usage, facts=facts
    )


def test_progress() -> None:
    verdicts = [verdict("a"), verdict("b", kept=False)]
    assert synthesis_figures.progress_metrics(verdicts) == {"kept": 1.0, "tasks": 1.0}
    paid = [*verdicts, verdict("c", dollars=0.5)]
    assert synthesis_figures.progress_metrics(paid) == {"kept": 2.0, "tasks": 2.0, "dollars": 0.5}


def test_pass_at_k_is_over_the_tasks_that_were_tried() -> None:
    attempts = [{"made": 4, "solved": 1}, {"made": 2, "solved": 1}, {"made": 0, "solved": 0}]
    tried, rates = synthesis_figures.pass_rates([verdict("a", attempts=attempts)])
    assert tried == 2 and list(rates) == [1, 2]
    assert rates[1].estimate == pytest.approx((1 / 4 + 1 / 2) / 2)
    assert rates[2].estimate == pytest.approx((1 / 2 + 1) / 2)
    assert synthesis_figures.pass_rates([verdict("a", attempts=[])]) == (0, {})


def test_attempts_at_rejected_problems_do_not_count() -> None:
    verdicts = [
        verdict("a", solved=3, attempts=4),
        verdict("b", kept=False, solved=4, attempts=4),
        verdict("c"),
    ]
    assert synthesis_figures.solved_attempts(verdicts) == (3, 4, wilson(3, 4))


def test_general_environments_add_up() -> None:
    verdicts = [
        verdict("a", levels=[2, 1], mutants=3, rejected={"ambiguous": 1}),
        verdict("b", kept=False, levels=[1], mutants=0, rejected={"ambiguous": 2, "too easy": 1}),
    ]
    assert list(synthesis_figures.tasks_by_difficulty(verdicts).items()) == [(1, 2), (2, 1)]
    assert synthesis_figures.refused_outcomes(verdicts) == 3
    assert synthesis_figures.rejected_proposals(verdicts) == {"ambiguous": 3, "too easy": 1}
