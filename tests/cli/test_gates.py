"""Gates on made-up figures: each passes and fails where it should."""

from baleen.cli import gates


def answers(domain: str, solved: int, count: int = 256, think: int = 10, difficulty: int = 9) -> list[dict]:
    return [
        {
            "domain": domain,
            "family": "sum",
            "difficulty": difficulty,
            "correct": i < solved,
            "well_formed": True,
            "think_tokens": think,
        }
        for i in range(count)
    ]


def verdicts(found: list[dict]) -> list[bool]:
    return [gate["passed"] for gate in found]


def test_warmup_wants_a_third_of_the_kl_and_most_of_the_mass():
    assert verdicts(gates.warmup_gates({"kl": 3.0}, {"kl": 0.9, "recall": 0.9})) == [True, True]
    assert verdicts(gates.warmup_gates({"kl": 3.0}, {"kl": 1.1, "recall": 0.7})) == [False, False]


def test_sparse_loss_must_be_near_the_dense_and_far_from_the_random_indexers():
    good = {"dense_loss": 2.0, "sparse_loss": 2.06, "random_indexer_loss": 4.0}
    before = {"text": good, "tasks": good}
    assert verdicts(gates.sparse_gates(before, {"text": good, "tasks": good})) == [True, True, True]
    bad = {"dense_loss": 2.0, "sparse_loss": 2.2, "random_indexer_loss": 2.3}
    assert verdicts(gates.sparse_gates(before, {"text": bad, "tasks": good})) == [False, False, True]
    assert verdicts(gates.sparse_gates(before, {"text": good, "tasks": bad})) == [True, False, True]
    assert verdicts(gates.sparse_gates(before, {"text": bad, "tasks": bad})) == [False, False, False]
    forgot = {
        "dense_loss": 3.0,
        "sparse_loss": 3.0,
        "random_indexer_loss": 9.0,
    }  # equal, both worse than before
    assert verdicts(gates.sparse_gates(before, {"text": forgot, "tasks": good})) == [False, False, True]


def test_a_specialist_must_rise_clearly_and_the_tool_specialist_high():
    before = answers("math", 100)
    assert verdicts(gates.specialist_gates("math", answers("math", 150), before)) == [True, True]
    assert verdicts(gates.specialist_gates("math", answers("math", 110), before)) == [False, True]
    assert verdicts(gates.specialist_gates("math", before, before)) == [False, False]
    few = gates.specialist_gates("math", answers("math", 3, 10), answers("math", 1, 10))
    assert verdicts(few) == [True, False]  # a rise that ten tasks cannot show
    tool = gates.specialist_gates("tool", answers("tool", 200), answers("tool", 100))
    assert verdicts(tool) == [True, True, False]


def test_only_the_own_domain_of_a_specialist_counts():
    before = [*answers("math", 100), *answers("logic", 250)]
    after = [*answers("math", 150), *answers("logic", 0)]
    assert all(verdicts(gates.specialist_gates("math", after, before)))


def test_the_student_may_lag_a_specialist_by_a_twentieth():
    teachers = {"math": answers("math", 200), "logic": answers("logic", 200)}
    student = [*answers("math", 190), *answers("logic", 180)]
    assert verdicts(gates.distill_gates(student, teachers)) == [True, False]


def test_mixed_training_may_trade_one_domain_for_another_but_lose_nothing_in_sum():
    before = [*answers("math", 100), *answers("logic", 100)]
    assert verdicts(gates.mixed_gates([*answers("math", 90), *answers("logic", 110)], before)) == [True]
    assert verdicts(gates.mixed_gates([*answers("math", 90), *answers("logic", 109)], before)) == [False]


def test_speciale_is_judged_on_hard_tasks_alone():
    hard = {"sum": [9]}
    before = [*answers("math", 100, think=10), *answers("math", 250, think=10, difficulty=2)]
    after = [*answers("math", 140, think=20), *answers("math", 0, think=1, difficulty=2)]
    before, after = (gates.of_hardness(asked, hard, True) for asked in (before, after))
    assert verdicts(gates.speciale_gates(after, before)) == [True, True]
    assert verdicts(gates.speciale_gates(before, after)) == [False, False]
