"""Checks on made-up figures: each passes, fails or leaves open what it should."""

import math

import pytest

from baleen.config.recipe import load_recipe
from baleen.config.shipped import find_recipe
from baleen.evaluation.intervals import Interval, wilson
from baleen.stages import acceptance
from baleen.stages.checks import check as check_of

RECIPE = load_recipe(find_recipe("tiny"))


def answers(
    domain: str, solved: int, count: int = 256, think: int = 10, difficulty: int = 9, tokens: int = 20
) -> list[dict]:
    """The first `solved` of `count` tasks are right."""
    return [
        {
            "domain": domain,
            "family": "sum",
            "difficulty": difficulty,
            "correct": i < solved,
            "well_formed": True,
            "think_tokens": think,
            "completion_tokens": tokens,
        }
        for i in range(count)
    ]


def states(found: list[dict]) -> list[str]:
    return [check["state"] for check in found]


def figures(dense: float, sparse: float, random: float, rows: int = 8) -> dict:
    """As of `measure.indexer_figures`: every row has its share of each mean loss."""
    kinds = {"dense": dense, "sparse": sparse, "random_indexer": random}
    # rows differ, in one proportion: a ratio has next to no width
    shares = [(1 + 0.1 * (-1) ** i) / rows for i in range(rows)]
    return {"rows": {kind: [loss * share for share in shares] for kind, loss in kinds.items()}}


@pytest.mark.parametrize(
    ("low", "estimate", "high", "relation", "state"),
    [
        (0.01, 0.1, 0.2, ">", "passed"),
        (0.0, 0.1, 0.2, ">", "uncertain"),
        (0.0, 0.1, 0.2, ">=", "passed"),
        (-0.1, 0.1, 0.2, ">=", "uncertain"),
        (-0.2, -0.1, 0.1, ">", "uncertain"),
        (-0.2, -0.1, 0.0, ">", "uncertain"),
        (-0.2, -0.1, -0.01, ">", "failed"),
        (-0.2, -0.1, -0.01, "<=", "passed"),
        (-0.2, -0.1, 0.01, "<=", "uncertain"),
        (0.01, 0.1, 0.2, "<=", "failed"),
        (math.nan, math.nan, math.nan, ">=", "failed"),  # losses that are not numbers
        (-1.0, math.nan, 1.0, ">", "uncertain"),  # nothing was measured
    ],
)
def test_only_an_interval_beyond_the_bound_fails(low, estimate, high, relation, state):
    found = check_of("x", Interval(estimate, low, high), relation, 0.0, "hint", 100)
    assert found["state"] == state
    assert found["estimate"] == (None if math.isnan(estimate) else estimate)


def test_a_figure_without_an_interval_is_compared_as_it_is():
    for value, state in ((3.0, "passed"), (2.99, "failed"), (math.nan, "failed")):
        found = check_of("x", value, ">=", 3.0, "hint")
        assert (found["state"], found["low"], found["high"], found["n_needed"]) == (state, None, None, None)


def test_the_n_that_would_decide_halves_the_width_with_four_times_the_items():
    def needed(found: Interval, relation: str, n: int = 100) -> int | None:
        return check_of("x", found, relation, 0.0, "hint", n)["n_needed"]

    assert needed(Interval(0.1, -0.1, 0.25), ">") == 400  # the lower half counts: 0.2 must become 0.1
    assert needed(Interval(-0.1, -0.2, 0.3), ">") == 1600  # the upper half: 0.4 must become 0.1
    assert needed(Interval(0.0, -0.2, 0.2), ">") is None
    assert needed(Interval(0.1, 0.05, 0.2), ">") is None  # it is decided
    # by the interval itself: at that n, with the same share, the bound is about where it ends
    found = check_of("x", wilson(93, 100), ">=", 0.9, "hint", 100)
    n = found["n_needed"]
    assert found["state"] == "uncertain" and 400 < n < 700
    assert wilson(0.93 * n, n).low == pytest.approx(0.9, abs=0.005)


def test_warmup_wants_a_third_of_the_kl_and_most_of_the_mass():
    assert (
        states(acceptance.warmup_checks("warmup", {"kl": 3.0}, {"kl": 0.9, "recall": 0.9})) == ["passed"] * 2
    )
    assert (
        states(acceptance.warmup_checks("warmup", {"kl": 3.0}, {"kl": 1.1, "recall": 0.7})) == ["failed"] * 2
    )


def test_sparse_loss_must_be_near_the_dense_and_far_from_the_random_indexers():
    good, bad = figures(2.0, 2.06, 4.0), figures(2.0, 2.2, 2.3)
    before = {"text": good, "tasks": good}

    def verdicts(**after: dict) -> list[bool]:
        found = acceptance.sparse_checks("sparse", before, after)
        return [check["state"] == "passed" for check in found if check["state"] != "uncertain"]

    assert verdicts(text=good, tasks=good) == [True, True, True]
    # half of the rows say one thing and half the other: the pooled checks may be left open, the text's is not
    assert states(acceptance.sparse_checks("sparse", before, {"text": bad, "tasks": good}))[0] == "failed"
    assert states(acceptance.sparse_checks("sparse", before, {"text": good, "tasks": bad}))[0] == "passed"
    assert verdicts(text=bad, tasks=bad) == [False, False, False]
    forgot = figures(3.0, 3.0, 9.0)  # equal, both worse than before
    assert states(acceptance.sparse_checks("sparse", before, {"text": forgot, "tasks": good}))[0] == "failed"
    ratio = acceptance.sparse_checks("sparse", before, {"text": good, "tasks": good})[0]
    assert ratio["estimate"] == pytest.approx(1.03) and ratio["n"] == 8


def test_a_loss_ratio_that_its_rows_disagree_on_is_uncertain():
    """Ratio 1.04, but of eight rows some are 30 % worse and some 22 % better."""
    noisy = figures(2.0, 2.0, 9.0)
    noisy["rows"]["sparse"] = [
        share * (1.3 if i % 2 else 0.78) for i, share in enumerate(noisy["rows"]["dense"])
    ]
    found = acceptance.sparse_checks(
        "sparse", {"text": noisy, "tasks": noisy}, {"text": noisy, "tasks": noisy}
    )
    assert states(found)[:2] == ["uncertain", "uncertain"] and found[0]["n_needed"] > 8


def judged(name: str, after: list[dict], before: list[dict], hard=None, **changes) -> list[dict]:
    """The checks of a stage of the quickstart's recipe after made-up answers."""
    stage = RECIPE.stage(name).model_copy(update=changes)
    domains = [name.removeprefix("specialist_")] if name.startswith("specialist") else []
    return acceptance.answer_checks(stage, after, hard or {}, lambda: before, {}, domains)[0]


def test_a_specialist_must_rise_and_the_tool_specialist_stand_high():
    before = answers("math", 100)
    assert states(judged("specialist_math", answers("math", 150), before)) == ["passed"]
    assert states(judged("specialist_math", before, before)) == ["uncertain"]
    assert states(judged("specialist_math", answers("math", 70), before)) == ["failed"]
    few = judged("specialist_math", answers("math", 3, 10), answers("math", 1, 10))
    assert states(few) == ["uncertain"] and few[0]["n_needed"] > 10  # a rise that ten tasks cannot show
    low = answers("tool", 100)
    for solved, state in ((250, "passed"), (233, "uncertain"), (200, "failed")):
        assert states(judged("specialist_tool", answers("tool", solved), low)) == ["passed", state]


def test_only_the_own_domain_of_a_specialist_counts():
    before = [*answers("math", 100), *answers("logic", 250)]
    after = [*answers("math", 150), *answers("logic", 0)]
    (found,) = judged("specialist_math", after, before)
    assert found["state"] == "passed" and found["n"] == 256


def test_the_student_fails_only_where_the_interval_is_beyond_the_margin():
    """258 tasks as in the quickstart: twenty fewer are in doubt (-.078, -.11 to -.04), sixty fewer are not."""
    teachers = {
        domain: {"domains": [domain], "answers": answers(domain, 240, 258)} for domain in ("math", "logic")
    }
    distill = RECIPE.stage("distill")

    def checked(student: list[dict], *of: str) -> list[dict]:
        chosen = {name: teachers[name] for name in of}
        return acceptance.answer_checks(distill, student, {}, list, chosen, [])[0]

    found = checked([*answers("math", 239, 258), *answers("logic", 220, 258)], "math", "logic")
    assert states(found) == ["passed", "uncertain"]
    assert found[1]["low"] < -0.05 < found[1]["high"] and found[1]["estimate"] == pytest.approx(-20 / 258)
    (bad,) = checked(answers("math", 180, 258), "math")
    assert bad["state"] == "failed"


def test_mixed_training_may_trade_one_domain_for_another():
    before = [*answers("math", 100), *answers("logic", 100)]

    def rise(math_solved: int, logic_solved: int) -> dict:
        after = [*answers("math", math_solved), *answers("logic", logic_solved)]
        (found,) = judged("mixed", after, before)
        return found

    traded = rise(90, 110)
    assert (traded["estimate"], traded["state"], traded["n_needed"]) == (0.0, "uncertain", None)
    assert rise(90, 140)["state"] == "passed" and rise(60, 100)["state"] == "failed"
    math_alone = judged("mixed", answers("math", 140), answers("math", 100))[0]
    assert math_alone["low"] == acceptance.paired_rise(answers("math", 140), answers("math", 100)).low


def test_speciale_is_judged_by_its_accuracy_on_hard_tasks_however_long_it_thinks():
    hard = {"sum": [9]}
    before = [*answers("math", 100, think=10), *answers("math", 250, think=10, difficulty=2)]
    after = [*answers("math", 140, think=9), *answers("math", 0, think=1, difficulty=2)]
    (found,) = judged("speciale", after, before, hard)
    assert found["state"] == "passed" and found["estimate"] == pytest.approx(40 / 256)
    assert states(judged("speciale", before, after, hard)) == ["failed"]
    before, after = (acceptance.of_hardness(asked, hard, True) for asked in (before, after))
    told = acceptance.thinking(after, before)
    assert (told["before"], told["after"], told["ratio"]) == pytest.approx((10, 9, 0.9))


def test_an_answer_counts_at_the_budgets_that_hold_it():
    before = [*answers("math", 3, 4, tokens=10), *answers("math", 0, 4, tokens=40)]
    after = [*answers("math", 2, 4, tokens=20), *answers("math", 4, 4, tokens=40)]
    table = acceptance.budgets(after, before)
    assert [(row["budget"], row["before"], row["after"]) for row in table] == [
        (10, 3 / 8, 0.0),
        (20, 3 / 8, 2 / 8),
        (40, 3 / 8, 6 / 8),
    ]
    whole = judged("speciale", after, before, {"sum": [9]})[0]
    assert {name: table[-1][name] for name in ("low", "high")} == {n: whole[n] for n in ("low", "high")}
    assert acceptance.budgets([], []) == []
