"""Where interpreter problems come from: the generated families, and files of questions with answers."""

import ast
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from baleen.config.errors import UserError
from baleen.environments.interpreter import final_answer, same
from baleen.synthesis.interpreter import counting, graphs, measures, numbers, processes
from baleen.synthesis.interpreter.family import Family, Problem
from baleen.synthesis.pipeline import Candidate

FAMILIES: dict[str, Family] = {
    family.name: family
    for room in (numbers, counting, graphs, processes, measures)
    for family in room.FAMILIES
}
# A worked step in GSM8K's notation: <<48/2=24>>
_STEP = re.compile(r"<<([^<>=]+)=([^<>=]*)>>")
_LITERAL = re.compile(r"\d+(?:\.\d*)?|\.\d+")


@dataclass(frozen=True)
class Draft:
    """A problem before it is judged. repeated: its question was asked by an earlier candidate of the run."""

    family: str
    difficulty: int
    problem: Problem
    repeated: bool = False


def generated(
    seed: int, names: Sequence[str], difficulties: Sequence[int], count: int
) -> Iterator[Candidate[Draft]]:
    """`count` problems of each family and difficulty, in turns: an early end leaves a mixture."""
    asked: set[str] = set()
    for index in range(count):
        for difficulty in difficulties:
            for name in names:
                # Strings seed alike in every process, unlike hashes of tuples.
                problem = FAMILIES[name].draw(
                    difficulty, random.Random(f"{seed}/{name}/{difficulty}/{index}")
                )
                draft = Draft(name, difficulty, problem, problem.question in asked)
                asked.add(problem.question)
                yield Candidate(f"{name}-{difficulty}-{index:05d}", name, draft)


def questions(path: Path) -> Iterator[Candidate[Draft]]:
    """The rows {"question", "answer"} of a JSONL file.

    An answer may end with "#### 18" (GSM8K) or hold \\boxed{18}; else all of it is the answer. Its worked steps, if it
    has any in GSM8K's notation, become the program. Raises UserError, naming the line that cannot be used.
    """
    asked: set[str] = set()
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            question, answer = _fields(path, number, line)
            problem = Problem(question, final_answer(answer), _worked(answer, final_answer(answer)))
            yield Candidate(
                f"{path.stem}-{number:06d}", path.stem, Draft(path.stem, 1, problem, question in asked)
            )
            asked.add(question)


def _fields(path: Path, number: int, line: str) -> tuple[str, str]:
    try:
        row = json.loads(line)
        question, answer = row["question"], row["answer"]
    except (ValueError, TypeError, KeyError):
        question = answer = None
    if isinstance(answer, int | float) and not isinstance(answer, bool):
        answer = str(answer)
    if not (isinstance(question, str) and isinstance(answer, str) and question.strip() and answer.strip()):
        raise UserError(f'{path}, line {number}: a row must be {{"question": "...", "answer": "..."}}')
    return question.strip(), answer


def _worked(text: str, answer: str) -> str:
    """A program that computes the last worked step said to give the answer; "" where there is none to compute."""
    steps = [expression for expression, claimed in _STEP.findall(text) if same(claimed, answer)]
    if not steps:
        return ""
    expression = _LITERAL.sub(lambda literal: f"Fraction('{literal.group()}')", steps[-1].strip())
    return f"from fractions import Fraction\nprint({expression})\n" if _is_arithmetic(expression) else ""


def _is_arithmetic(expression: str) -> bool:
    try:
        tree = ast.parse(expression, mode="eval")
    except (SyntaxError, ValueError, RecursionError):
        return False
    allowed = (
        ast.Expression,
        ast.BinOp,
        ast.UnaryOp,
        ast.operator,
        ast.unaryop,
        ast.Call,
        ast.Constant,
        ast.expr_context,
    )
    return all(
        isinstance(node, allowed) or (isinstance(node, ast.Name) and node.id == "Fraction")
        for node in ast.walk(tree)
    )
