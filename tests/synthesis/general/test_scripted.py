"""The scripted author: every kept task holds, wrong outcomes score nothing in the world itself, all is repeatable."""

import random
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from baleen.environments import environment_for
from baleen.environments.general import DOMAINS, GeneralWorld
from baleen.environments.general.database import build
from baleen.environments.general.verification import Outcome
from baleen.evaluation.attempts import pass_at_k
from baleen.synthesis import Candidate, Verdict
from baleen.synthesis.general import Plan, ScriptedAuthor, judge
from baleen.synthesis.general.mutations import mutants
from baleen.synthesis.general.solvers import CHEAP_SOLVERS, solved_cheaply


def verdict(domain: str, seed: str = "0", levels: int = 3) -> Verdict:
    return judge(
        Candidate(f"{domain}-{seed}", domain, partial(ScriptedAuthor, domain, seed, levels)), Plan(levels)
    )


@pytest.mark.parametrize("domain", DOMAINS)
def test_kept_tasks_refuse_ten_wrong_outcomes_each_in_the_world(domain: str) -> None:
    done = verdict(domain, levels=4)
    assert len(done.tasks) >= 2, done.detail
    kinds: Counter[str] = Counter()
    for task in done.tasks:
        world = GeneralWorld(task)
        world.reset()
        for name, arguments, _ in task.data["calls"]:
            world._source.call(name, arguments)
        right = Outcome(world.snapshot(), task.answer)
        assert world.score({"role": "assistant", "content": task.answer}) == 1.0
        before = build(task.data["environment"]["database"])
        wrong = mutants(before, right, task.data["changes"], (), random.Random(0))
        assert len(wrong) >= 10
        for mutant in wrong:
            world.restore(mutant.outcome.database)
            assert world.score({"role": "assistant", "content": mutant.outcome.answer}) == 0.0, mutant.kind
            kinds[mutant.kind] += 1
    assert {"no answer", "another value", "two answers", "an extra change", "nothing done"} <= set(kinds)


def test_a_change_is_left_out_and_made_elsewhere() -> None:
    done = verdict("bank", levels=3)
    task = done.tasks[-1]
    assert task.data["changes"]
    world = GeneralWorld(task)
    world.reset()
    for name, arguments, _ in task.data["calls"]:
        world._source.call(name, arguments)
    right = Outcome(world.snapshot(), task.answer)
    before = build(task.data["environment"]["database"])
    kinds = {m.kind for m in mutants(before, right, task.data["changes"], (), random.Random(1))}
    assert {"a change left out", "the wrong row changed", "a row deleted", "a row twice"} <= kinds


def test_the_same_seed_gives_the_same_verdict() -> None:
    one, two = verdict("staff"), verdict("staff")
    assert [task.to_row() for task in one.tasks] == [task.to_row() for task in two.tasks]
    assert one.facts == two.facts
    assert one.tasks[0].id != verdict("staff", "1").tasks[0].id


def test_cheap_solvers_solve_what_is_trivial_and_nothing_kept() -> None:
    for task in verdict("gym", levels=4).tasks:
        assert solved_cheaply(task, random.Random(task.id)) == ""
    assert set(CHEAP_SOLVERS) == {"direct guess", "first tool", "random tools"}
    rejected = sum(
        (Counter(verdict(d, "7", 1).facts["rejected"]) for d in ("bank", "staff", "fleet")), Counter()
    )
    assert rejected["trivial"] > 0


def test_a_cheap_solver_finds_a_task_with_one_tool() -> None:
    task = verdict("bank", levels=1).tasks[0]
    name = task.data["calls"][0][0]
    system = {
        **task.messages[0],
        "tools": [t for t in task.messages[0]["tools"] if t["function"]["name"] == name],
    }
    assert (
        solved_cheaply(replace(task, messages=(system, task.messages[1])), random.Random(0)) == "first tool"
    )


def test_solutions_in_the_sandbox_agree_with_those_drawn() -> None:
    """`check` ran the text of the solution in the sandbox; the calls are those of the function itself."""
    for task in verdict("hotel", levels=5).tasks:
        world = environment_for(task)
        world.reset()
        assert task.data["calls"] and task.data["solution"].startswith("def solution(tools, ")


def test_pass_at_k_is_unbiased() -> None:
    assert pass_at_k(16, 3, 4) == pytest.approx(0.6071, abs=1e-4)
    assert (pass_at_k(4, 0, 4), pass_at_k(4, 1, 4), pass_at_k(5, 5, 1)) == (0.0, 1.0, 1.0)
    with pytest.raises(AssertionError):
        pass_at_k(3, 1, 4)
