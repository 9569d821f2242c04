"""Interpreter tasks: every family's two algorithms agree in the sandbox, and the gate lets nothing else through."""

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baleen.agent import ModelFailure, Reply
from baleen.chat import Message
from baleen.cli.main import main
from baleen.config import UserError
from baleen.environments import environment_for, read_tasks
from baleen.environments.interpreter import same
from baleen.environments.task import answer_message
from baleen.synthesis import Candidate, read_verdicts
from baleen.synthesis.interpreter import (
    DIFFICULTIES,
    FAMILIES,
    Draft,
    Judge,
    Kernels,
    Problem,
    ReferenceSolver,
    Solver,
    Usage,
    attempt,
    generated,
    questions,
    task_of,
)
from baleen.synthesis.interpreter.guesses import lucky_guess

SUM = Draft("f", 1, Problem("What is 1 + 2 + ... + 1000?", "500500", "print(sum(range(1001)))"))


@pytest.fixture(scope="module")
def kernels() -> Iterator[Kernels]:
    with Kernels(1) as pool:
        yield pool


def judged(kernels: Kernels, draft: Draft, solver: Solver | None = None) -> Any:
    return Judge(kernels, solver)(Candidate("c", "g", draft))


def changed(**values: Any) -> Draft:
    return replace(SUM, problem=replace(SUM.problem, **values))


def test_there_are_families_enough_and_each_gets_harder() -> None:
    assert len(FAMILIES) >= 12 and all(name == family.name for name, family in FAMILIES.items())
    for family in FAMILIES.values():
        longest = [
            max(len(family.draw(d, random.Random(f"{d} {n}")).question) for n in range(5))
            for d in DIFFICULTIES
        ]
        answers = {family.draw(d, random.Random(f"{d} {n}")).answer for d in DIFFICULTIES for n in range(5)}
        assert longest[0] <= longest[-1] + 3, family.name
        assert len(answers) >= 12, family.name


def test_both_algorithms_of_every_family_agree(kernels: Kernels) -> None:
    """The answer, found here, against the program's, found in the sandboxed kernel."""
    drafts = [c.work for c in generated(3, tuple(FAMILIES), DIFFICULTIES, 1)]
    with kernels.one() as kernel:
        for draft in drafts:
            cell = kernel.run(draft.problem.program, 60)
            printed, problem = cell.text.strip(), draft.problem
            assert cell.status == "ok", (draft.family, cell.text)
            assert same(printed, problem.answer, problem.tolerance), (draft.family, problem.answer, printed)


def test_the_same_seed_gives_the_same_candidates_in_turns() -> None:
    names = ("josephus", "change", "tables")
    first, second = (list(generated(7, names, (1, 2), 2)) for _ in range(2))
    assert first == second and len({c.name for c in first}) == 12
    assert [c.group for c in first[:4]] == ["josephus", "change", "tables", "josephus"]
    assert first != list(generated(8, names, (1, 2), 2))


def test_a_question_asked_twice_is_marked() -> None:
    asked = [c.work for c in generated(0, ("spanning-trees",), (1,), 40)]
    assert len({d.problem.question for d in asked}) == sum(not d.repeated for d in asked) < 40


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        (SUM, ""),
        (changed(answer="500501"), "answers disagree"),
        (changed(program="print(sum(range(1001)))\nprint(1)"), "answers disagree"),
        (changed(program="1 / 0"), "the program failed"),
        (changed(program="print(leftover)"), "the program failed"),
        (changed(question="What is 500499 + 1?"), "guessed without computing"),
        (replace(SUM, repeated=True), "the same question again"),
        (changed(program=""), ""),
    ],
)
def test_the_gate(kernels: Kernels, draft: Draft, reason: str) -> None:
    with kernels.one() as kernel:
        kernel.run("leftover = 500500", 5)  # an earlier program's
    verdict = judged(kernels, draft)
    assert verdict.reason == reason and bool(verdict.tasks) == (not reason)
    if not reason:
        assert verdict.facts["confirmed"] == bool(draft.problem.program)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is it?", "0"),
        ("Tom has 1,250 and 30 apples.", "1,250"),
        ("Tom has 12 and 30 apples.", "42"),
        ("Tom has 12 and 30 apples.", "2.5"),
        ("Tom has 12 and 30 apples.", "360"),
        ("Tom has 12 and 30 apples.", "29"),
        ("1, 2, 3, 10", "16"),
    ],
)
def test_lucky_guesses(question: str, answer: str) -> None:
    assert lucky_guess(question, answer, "0") is not None


def test_a_guess_counts_only_within_the_tolerance() -> None:
    assert lucky_guess("x is 12", "12.004", "0.001") is None
    assert lucky_guess("x is 12", "12.004", "0.01") == "12"
    assert lucky_guess("Tom has 12 and 30 apples.", "97", "0") is None


class Model:
    """Says with the tool what `script` has, and without it `direct`."""

    name = "model"

    def __init__(self, direct: str, script: Sequence[Message]) -> None:
        self.direct, self.script, self.turn = direct, list(script), 0

    def complete(self, messages: Sequence[Message], tools: Any = (), **settings: Any) -> Reply:
        if not any(message.get("tools") for message in messages):
            return Reply(answer_message(self.direct), "stop", 10, 0, 1, 0.5)
        message = self.script[self.turn % len(self.script)]
        self.turn += 1
        return Reply(message, "stop", 20, 0, 2, 0.25)


RIGHT, WRONG = answer_message("#### 500500"), answer_message("#### 7")


@pytest.mark.parametrize(
    ("model", "reason", "solved"),
    [
        (Model("#### 1", [RIGHT, WRONG]), "", 1),
        (Model("#### 1", [WRONG]), "never solved", 0),
        (Model("#### 500500", [RIGHT]), "answered without the tool", 0),
        (ReferenceSolver([task_of(SUM)]), "", 2),
    ],
)
def test_a_model_decides_what_is_kept(kernels: Kernels, model: Any, reason: str, solved: int) -> None:
    verdict = judged(kernels, SUM, Solver(model, attempts=2))
    assert (verdict.reason, verdict.facts["solved"], verdict.facts["attempts"]) == (reason, solved, 2)
    if reason == "never solved":
        assert verdict.usage == {"prompt_tokens": 60, "completion_tokens": 6, "dollars": 1.5}


def test_a_model_that_gives_no_answer_is_a_reason(kernels: Kernels) -> None:
    class Failing(Model):
        def complete(self, messages: Sequence[Message], tools: Any = (), **settings: Any) -> Reply:
            raise ModelFailure("status 500")

    assert judged(kernels, SUM, Solver(Failing("", []))).reason == "the model gave no answer"


def test_calls_without_end_are_no_solution() -> None:
    task = task_of(SUM)
    model = ReferenceSolver([task])
    world = environment_for(task)
    try:
        assert attempt(model, world, 1, 0, 1.0, Usage()) == 0.0
    finally:
        world.close()


def write_rows(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_questions_of_a_file(kernels: Kernels, tmp_path: Path) -> None:
    rows = [
        {
            "question": "How many legs have 7 cats and 3 hens?",
            "answer": "7*4=<<7*4=28>>28\n3*2=6\n<<28+3*2=34>>\n#### 34",
        },
        {"question": "How many legs have 9 cats and 5 hens?", "answer": "<<9*4+5*2=47>>47\n#### 47"},
        {"question": "How many legs have 8 cats and 7 hens?", "answer": "<<__import__('os')=46>>46\n#### 46"},
        {"question": "Which sea?", "answer": "The \\boxed{Baltic} one"},
        {"question": "How many legs have 7 cats and 3 hens?", "answer": "34"},
        {"question": "Half of 85 apples and a third of 21?", "answer": 49.5},
    ]
    candidates = list(questions(write_rows(tmp_path / "legs.jsonl", *rows)))
    assert [c.work.problem.answer for c in candidates] == ["34", "47", "46", "Baltic", "34", "49.5"]
    assert [bool(c.work.problem.program) for c in candidates] == [True, True, False, False, False, False]
    assert [c.work.repeated for c in candidates] == [False] * 4 + [True, False]
    assert candidates[0].group == "legs"
    assert judged(kernels, candidates[0].work).facts == {"confirmed": True}
    assert judged(kernels, candidates[1].work).reason == "answers disagree"


@pytest.mark.parametrize("line", ["{", "[]", '{"question": "a"}', '{"question": "a", "answer": " "}', '"x"'])
def test_a_line_that_cannot_be_used_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(f'{{"question": "a", "answer": "b"}}\n\n{line}\n')
    with pytest.raises(UserError, match="line 3"):
        list(questions(path))


def test_the_command_makes_tasks_that_their_programs_solve(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ["synth", "interpreter", "--out", str(out), "--per-level", "2", "--workers", "1"]
    command += ["--families", "josephus", "ruin", "root", "queens", "--difficulties", "1", "2"]
    assert main([*command, "--tasks", "5"]) == 0
    assert 5 <= len(read_verdicts(out)) < 16
    assert main(command) == 0  # goes on
    verdicts, tasks = read_verdicts(out), read_tasks(out / "tasks.jsonl")
    assert len(verdicts) == len({v.candidate for v in verdicts}) == 16
    assert len(tasks) == sum(len(v.tasks) for v in verdicts) >= 8
    assert len({task.id for task in tasks}) == len(tasks)
    solver = ReferenceSolver(tasks)
    one_of_each = {task.family: task for task in tasks}.values()
    for task in list(one_of_each)[:2]:
        world = environment_for(task)
        assert attempt(solver, world, 3, 0, 1.0, Usage()) == 1.0
        assert world.score(answer_message(f"#### {task.answer}")) == 1.0
        assert world.score(answer_message("#### 1")) == world.score(answer_message("")) == 0.0
        assert "program" not in json.dumps(world.task.messages)
        world.close()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--families", "chess"], "--families has 'chess'"),
        (["--difficulties", "9"], "--difficulties has 9"),
        (["--per-level", "0"], "--per-level is 0"),
        (["--max-cost", "1"], "--max-cost needs --base-url"),
        (["--questions", "no/such/file"], "no/such/file"),
    ],
)
def test_mistakes_are_one_line(
    options: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["synth", "interpreter", "--out", str(tmp_path / "run"), *options]) in (1, 2)
    error = capsys.readouterr().err.strip()
    assert says in error and len(error.splitlines()) == 1
