"""Bugs written by a chat model: it gets one function and answers with a text to replace and what to put there."""

import ast
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from baleen.agent.model import ChatModel, Reply
from baleen.environments.code.edits import Edit
from baleen.environments.code.runners import Runner
from baleen.environments.code.tree import Tree, text_of
from baleen.synthesis.code.answers import AnswerError, ask
from baleen.synthesis.code.issues import checked_issue

_MIN_LINES, _MAX_LINES = 5, 120
_MAX_CHANGED = 20  # lines

_PROMPT = """You make exercises for programmers: you put one subtle bug into working code, of the kind that people make
and that a test suite notices: a forgotten case, a wrong bound, a wrong default, an order swapped, state not reset.
You get a file's name and a part of it. Answer with one JSON object and nothing else:
{"old": "...", "new": "...", "issue": "..."}
old: lines of the part, verbatim, whole lines, so many that they occur once in the file. new: what replaces them; the
code still has to be valid, and no comment may point at the bug. issue: what a user who meets the bug would report:
behaviour only, without naming the file, the function or the line, and without quoting code of the fault."""


@dataclass(frozen=True)
class Request:
    """A part of a file for the model to work on. lines: first and last, from 1."""

    path: str
    lines: tuple[int, int]
    seed: int


@dataclass(frozen=True)
class Written:
    edit: Edit
    issue: str
    reply: Reply


def requests(tree: Tree, runner: Runner, rng: random.Random, count: int) -> list[Request]:
    """Functions (Python) or stretches (other languages) of source files, drawn without repetition."""
    parts: list[tuple[str, tuple[int, int]]] = []
    for path in sorted(filter(runner.is_source, tree)):
        text = text_of(tree, path)
        if text is not None:
            spans = _functions(text) if path.endswith(".py") else _stretches(text)
            parts += [(path, span) for span in spans]
    rng.shuffle(parts)
    return [Request(path, span, rng.randrange(1 << 31)) for path, span in parts[:count]]


def _functions(text: str) -> list[tuple[int, int]]:
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return []
    spans = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return [(first, last) for first, last in spans if _MIN_LINES <= last - first + 1 <= _MAX_LINES]


def _stretches(text: str) -> list[tuple[int, int]]:
    count = text.count("\n") + 1
    return [(first, min(first + _MAX_LINES - 1, count)) for first in range(1, count + 1, _MAX_LINES)]


def write_bug(model: ChatModel, tree: Tree, request: Request) -> Written:
    """Raises AnswerError when the answer is not a bug, with what is wrong with it, and ModelFailure."""
    text = text_of(tree, request.path) or ""
    first, last = request.lines
    part = "\n".join(text.split("\n")[first - 1 : last])
    answer, reply = ask(model, _PROMPT, f"{request.path}, lines {first} to {last}:\n\n{part}", request.seed)
    edit = _edit(answer, request.path, text, reply)
    return Written(edit, checked_issue(answer.get("issue"), [edit], reply), reply)


def _edit(answer: Mapping[str, Any], path: str, text: str, reply: Reply) -> Edit:
    old, new = answer.get("old"), answer.get("new")
    if not isinstance(old, str) or not isinstance(new, str) or not old.strip():
        raise AnswerError("old or new is not a text", reply)
    old_lines, new_lines = old.strip("\n").split("\n"), new.strip("\n").split("\n")
    lines = text.split("\n")
    places = [n for n in range(len(lines)) if lines[n : n + len(old_lines)] == old_lines]
    if len(places) != 1:
        raise AnswerError(f"old occurs {len(places)} times in the file as whole lines", reply)
    if max(len(old_lines), len(new_lines)) > _MAX_CHANGED:
        raise AnswerError(f"the change is longer than {_MAX_CHANGED} lines", reply)
    changed = lines[: places[0]] + new_lines + lines[places[0] + len(old_lines) :]
    if path.endswith(".py"):
        try:
            same = ast.dump(ast.parse("\n".join(changed))) == ast.dump(ast.parse(text))
        except (SyntaxError, ValueError, RecursionError):
            raise AnswerError("the changed file cannot be parsed", reply) from None
        if same:
            raise AnswerError("the change changes nothing", reply)
    elif changed == lines:
        raise AnswerError("the change changes nothing", reply)
    return Edit(path, places[0] + 1, tuple(old_lines), tuple(new_lines))
