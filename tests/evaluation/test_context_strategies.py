"""Accuracy against steps: what counts, what is paid for, how sure it is."""

import math
from dataclasses import replace

from baleen.evaluation.context_strategies import Branch, Outcome, accuracy, chosen, curve, gather, rise, row
from baleen.evaluation.intervals import bootstrap_mean, newcombe_paired, wilson
from baleen.report.context_strategies import accuracy_over_steps

SOLVED = Branch(True, "finished", 10, 100, 50, 20, 5, 9, 1, 0.5, 1.0)
WRONG = replace(SOLVED, solved=False, steps=4)
CUT = replace(SOLVED, solved=False, stop_reason="max_tokens", steps=30)
FAILED = replace(SOLVED, solved=False, stop_reason="policy_error", steps=0)


def outcomes(*branches: Branch) -> list[Outcome]:
    return [Outcome(f"t{i}", 0, (branch,)) for i, branch in enumerate(branches)]


def test_one_attempt_an_item_has_a_score_interval() -> None:
    assert accuracy(outcomes(SOLVED, SOLVED, WRONG, CUT)) == wilson(2, 4)


def test_more_attempts_are_clustered_by_item() -> None:
    clustered = [Outcome("a", i, (SOLVED,)) for i in range(50)] + [Outcome("b", i, (CUT,)) for i in range(50)]
    share = accuracy(clustered)
    assert share == bootstrap_mean([1.0, 0.0])
    assert share.high - share.low > 0.9, "two items, not a hundred"


def test_failures_of_infrastructure_count_apart() -> None:
    told = row("none", "", outcomes(SOLVED, FAILED, WRONG))
    assert (told["accuracy"], told["attempts"], told["infrastructure_failures"]) == (0.5, 2, 1)
    assert told["steps"] == 7 and told["stop_reasons"] == {"finished": 2, "policy_error": 1}


def test_of_several_trajectories_the_shortest_finished_one_counts_and_all_are_paid() -> None:
    assert chosen((CUT, SOLVED, WRONG)) is WRONG, "short, not right, decides"
    assert chosen((CUT, SOLVED)) is SOLVED and chosen((CUT, replace(CUT, steps=3))) is CUT
    told = row("fewest-step", "", [Outcome("a", 0, (CUT, SOLVED))])
    assert (told["accuracy"], told["steps"], told["prompt_tokens"], told["dollars"]) == (1.0, 40, 200, 1.0)
    assert told["curve"] == [(30.0, 0.0), (40.0, 1.0)]


def test_the_curve_is_the_share_solved_within_a_budget_of_steps() -> None:
    points = curve(outcomes(SOLVED, replace(SOLVED, steps=3), CUT, WRONG))
    assert points == [(0.0, 0.0), (3.0, 0.25), (10.0, 0.5), (30.0, 0.5)]
    assert curve([]) == []


def test_the_rise_pairs_items() -> None:
    after, before = outcomes(SOLVED, SOLVED, WRONG), outcomes(CUT, SOLVED, CUT)[:2]
    assert rise(after, before) == newcombe_paired([True, True], [False, True])
    twice = [Outcome("t0", 1, (SOLVED,)), *after]
    assert rise(twice, before) == bootstrap_mean([1.0, 0.0])


def test_only_whole_attempts_are_gathered() -> None:
    branches = {("a", 0): SOLVED, ("a", 1): CUT, ("a", 2): WRONG, ("b", 1): SOLVED}
    assert gather(branches, 2) == [Outcome("a", 0, (SOLVED, CUT))]
    assert [o.attempt for o in gather(branches, 1)] == [0, 1, 2, 1]


def test_the_figure_names_its_lines() -> None:
    rows = [row("none", "", outcomes(SOLVED, CUT)), row("fewest-step", "", [Outcome("a", 0, (CUT, SOLVED))])]
    svg = accuracy_over_steps(rows).wide
    assert ">none<" in svg and ">fewest-step<" in svg
    assert math.isnan(row("none", "", [])["accuracy"])
