"""Whatever an author model says ends as kept tasks or as a counted reason, never as half a task."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from baleen.agent import BudgetSpent, ChatModel, ModelFailure
from baleen.environments import Task, environment_for, read_tasks
from baleen.environments.general import demonstrate
from baleen.synthesis import Candidate, Journal, Verdict, read_verdicts, synthesise
from baleen.synthesis.general import Author, ModelAuthor, Plan, judge
from tests.synthesis.general.broken_author import EASY, FAILS, FIRST, HARD, SQL_TOOLS, Step, changed, says
from tests.synthesis.general.broken_author import Author as Stub

PLAN = Plan(levels=2, repairs=2)


def candidate(
    model: ChatModel, name: str = "model-0", tools: Any = "python"
) -> Candidate[Callable[[], Author]]:
    return Candidate(name, "model", partial(ModelAuthor, model, name, tools))


def verdict(*script: Step, plan: Plan = PLAN, tools: Any = "python") -> tuple[Verdict, Stub]:
    model = Stub(*script)
    return judge(candidate(model, tools=tools), plan), model


def plays(task: Task) -> bool:
    world = environment_for(task)
    world.reset()
    messages = demonstrate(task)
    for message in messages[:-1:2]:
        world.step(message)
    right = world.score(messages[-1])
    wrong = world.score({"role": "assistant", "content": "Lee"})
    world.close()
    return (right, wrong) == (1.0, 0.0)


def test_a_good_author_ends_with_two_tasks_of_growing_difficulty() -> None:
    done, model = verdict(says(FIRST), says(HARD))
    assert [task.difficulty for task in done.tasks] == [1, 2] and not done.reason
    assert all(plays(task) for task in done.tasks)
    assert done.usage == {"prompt_tokens": 200, "completion_tokens": 20, "dollars": 0.02}
    assert done.facts["mutants"] >= 20
    assert "difficulty 2" in model.asked[1][1]["content"]
    assert json.dumps(FIRST["question"]) in model.asked[1][1]["content"]


def test_tools_of_sql_need_no_process_in_an_episode() -> None:
    first = changed(FIRST, tools=SQL_TOOLS, code=None)
    done, _ = verdict(says(first), says(HARD), tools="sql")
    assert len(done.tasks) == 2
    assert done.tasks[0].data["environment"]["code"] == ""
    assert all(plays(task) for task in done.tasks)


def test_json_is_found_in_whatever_stands_around_it() -> None:
    done, _ = verdict(says(f"Sure! {{x}} Here:\n```json\n{json.dumps(FIRST)}\n```\nEnjoy."), says(HARD))
    assert len(done.tasks) == 2


BROKEN_FIRST: dict[str, tuple[list[Step], str]] = {
    "500s": ([FAILS], "the author model gave no answer"),
    "refusal": ([says("", "content_filter")], "author refused"),
    "empty": ([says("")], "author refused"),
    "refusal in words": ([says("I'm sorry, I cannot help with that.")], "answer is not JSON"),
    "truncation": ([says(json.dumps(FIRST)[:400], "length")], "answer was cut off"),
    "half an object": ([says(json.dumps(FIRST)[:400])], "answer is not JSON"),
    "a list": ([says("[1, 2]")], "answer is not JSON"),
    "no question": ([says(changed(FIRST, question=None))], "field is missing"),
    "a number as code": ([says(changed(FIRST, code=3))], "field is missing"),
    "tools as text": ([says(changed(FIRST, tools=["cow_barn"]))], "tools are broken"),
    "code that is not Python": ([says(changed(FIRST, code="def cow_barn(db"))], "tools are broken"),
    "code without the tool": ([says(changed(FIRST, code="x = 1"))], "tools are broken"),
    "code that raises": ([says(changed(FIRST, code="1 / 0\n" + FIRST["code"]))], "solution fails"),
    "a schema that is none": (
        [says(changed(FIRST, tools=[{**FIRST["tools"][0], "parameters": {"type": 7}}, *FIRST["tools"][1:]]))],
        "tools are broken",
    ),
    "SQL that is none": ([says(changed(FIRST, database="CREATE TABEL"))], "database is broken"),
    "SQL that attaches": ([says(changed(FIRST, database="ATTACH '/tmp/x' AS x"))], "database is broken"),
    "a solution with an import": (
        [says(changed(FIRST, solution="def solution(tools):\n    import os\n    return 'Ann'"))],
        "solution fails",
    ),
    "a solution that raises": (
        [says(changed(FIRST, solution="def solution(tools):\n    return tools.cow_barn(cow='Zoe')"))],
        "solution fails",
    ),
    "a solution without tools": (
        [says(changed(FIRST, solution="def solution(tools):\n    return 'Ann'"))],
        "solution calls no tool",
    ),
    "tools that roll dice": (
        [says(changed(FIRST, code=FIRST["code"].replace('["keeper"]', '["keeper"] + str(__import__("os").urandom(4))'),
                      verification="def verify(before, after, answer):\n    return True"))],
        "not deterministic",
    ),
    "a verifier that says yes": (
        [says(changed(FIRST, verification="def verify(before, after, answer):\n    return True"))],
        "verification accepts a wrong outcome",
    ),
    "a verifier that searches": (
        [says(changed(FIRST, verification="def verify(before, after, answer):\n    return 'Ann' in answer"))],
        "verification accepts a wrong outcome",
    ),
    "a verifier that says no": (
        [says(changed(FIRST, verification="def verify(before, after, answer):\n    return False"))],
        "verification refuses the solution",
    ),
    "a verifier that is none": ([says(changed(FIRST, verification="def verify("))], "verification fails"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_FIRST)
def test_what_stays_broken_is_a_counted_reason(name: str) -> None:
    script, reason = BROKEN_FIRST[name]
    done, model = verdict(*script, plan=Plan(levels=2, repairs=1))
    assert (done.tasks, done.reason) == ((), reason), done.detail
    assert done.facts["rejected"][reason] >= 1
    assert len(model.asked) <= 6


@pytest.mark.parametrize("name", ["truncation", "SQL that is none", "a verifier that searches"])
def test_what_is_mended_is_kept(name: str) -> None:
    script, reason = BROKEN_FIRST[name]
    done, model = verdict(*script, says(FIRST), says(HARD))
    assert len(done.tasks) == 2, done.detail
    complaint = model.asked[1][-1]
    assert complaint["role"] == "user" and f"Rejected: {reason}" in complaint["content"]


def test_a_harder_task_that_fails_leaves_the_easy_one() -> None:
    done, _ = verdict(says(FIRST), says(changed(HARD, solution="def solution(tools):\n    return 1")))
    assert [task.difficulty for task in done.tasks] == [1]
    assert not done.reason and done.facts["rejected"]["solution calls no tool"] == 3
    done, _ = verdict(says(FIRST), FAILS)
    assert len(done.tasks) == 1 and done.facts["rejected"] == {"the author model gave no answer": 1}


def test_a_trivial_task_is_made_harder_and_not_kept() -> None:
    trivial = changed(
        FIRST, tools=FIRST["tools"][:1], question="In which barn stands Dot?",
        solution='def solution(tools):\n    return tools.cow_barn(cow="Dot")',
        verification=EASY["verification"].replace("Ann", "west"),
    )  # fmt: skip
    harder = changed(HARD, tools=FIRST["tools"], code=FIRST["code"])
    done, _ = verdict(says(trivial), says(trivial), says(trivial), says(harder))
    assert [task.difficulty for task in done.tasks] == [2]
    assert done.facts["rejected"]["trivial"] == 3


def test_spent_money_ends_the_run_and_loses_nothing(tmp_path: Path) -> None:
    models = [Stub(says(FIRST), says(HARD)), Stub(says(FIRST), BudgetSpent("no money"))]
    candidates = [candidate(model, f"model-{n}") for n, model in enumerate(models)]
    with Journal(tmp_path, {}) as journal, pytest.raises(BudgetSpent):
        synthesise(candidates, partial(judge, plan=PLAN), journal, 1, lambda _: None, lambda: False)
    assert [v.candidate for v in read_verdicts(tmp_path)] == ["model-0"]
    models[1].script[1] = says(HARD)
    models[1].asked.clear()
    with Journal(tmp_path, {}) as journal:
        synthesise(candidates, partial(judge, plan=PLAN), journal, 1, lambda _: None, lambda: False)
        assert len(read_tasks(journal.write_tasks())) == 4


class Solver:
    """Solves what it is told to: a call per entry of `answers`, then that answer."""

    name = "solver"

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)

    def complete(self, messages: Any, tools: Any = (), **_: Any) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return says(answer)


@pytest.mark.parametrize(
    ("answers", "reason", "solved"),
    [
        (["Ann", "Tom", "Lee"], "", 1),
        (["x", "Tom", "Lee"], "solved by no attempt", 0),
        (["Ann", "Ann", "Ann"], "solved by every attempt", 3),
        ([ModelFailure("down")] * 3, "no attempt could be made", 0),
        (["Ann", ModelFailure("down"), "Lee"], "", 1),
    ],
)
def test_a_model_solver_keeps_what_it_solves_sometimes(answers: list[Any], reason: str, solved: int) -> None:
    plan = Plan(levels=1, repairs=0, solver=Solver(*answers), attempts=3)
    done, _ = verdict(says(FIRST), plan=plan)
    assert (done.reason, len(done.tasks)) == (reason, 0 if reason else 1)
    made = 3 - sum(isinstance(answer, Exception) for answer in answers)
    assert done.facts["attempts"] == [{"level": 1, "made": made, "solved": solved}]
    assert done.usage["prompt_tokens"] == 100 * (1 + made)
