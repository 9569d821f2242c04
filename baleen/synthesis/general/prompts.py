"""What an author model is told. It answers with one JSON object each time."""

import json
from collections.abc import Mapping
from typing import Any, Literal

ToolKind = Literal["python", "sql"]

THEMES = (
    "a veterinary practice", "a vineyard", "a ski resort", "a film archive", "a bicycle rental", "a city's trees",
    "a radio station", "a blood bank", "a harbour", "a chess league", "a botanical garden", "a print shop",
    "an observatory", "a seed library", "a ferry line", "a pottery studio", "a fire brigade", "a beekeepers' club",
    "a law firm's files", "a translation bureau", "a dairy farm", "a choir", "an elevator company", "a food bank",
    "a language school", "a photo agency", "a satellite operator", "a brewery", "a job centre", "a tailor's shop",
    "a coin collection", "a toll road", "a dentist", "a nursery school", "a scrap yard", "a board game café",
)  # fmt: skip

_TOOLS = {
    "python": """"tools": a list of {"name", "description", "parameters"}; parameters is a JSON schema of an object.
"code": one Python module with a function for each tool, `def NAME(db, ...)`: db is a sqlite3.Connection whose rows can
  be read by column name, the others are the parameters by name. Raise ValueError("...") for a call that must be
  refused; return a string, a number, a list or a dict of them. Use the standard library only.""",
    "sql": """"tools": a list of {"name", "description", "types", "checks", "writes", "returns", "shape", "missing"}.
  types: {parameter: "integer" or "string"}; checks: [[query, error], ...], the call is refused with the error when the
  query has no row; writes: a list of statements; returns: the query of the result; shape: "value", "column", "row" or
  "rows"; missing: the error when there is no such row. Parameters are :name in SQL and {name} in errors.""",
}

_SYSTEM = """You write environments for training agents: a database, tools on it, and a task with a solution and a
verification. Answer with one JSON object and nothing else. Its keys:

"name": a lower-case word for the environment.
"database": an SQL script for SQLite, CREATE TABLE and INSERT only: several related tables with at least 8 rows each.
@TOOLS@
  At least one tool changes the database, with preconditions; the result of a tool depends on its arguments and the
  database alone (no clock, no random numbers).
"ignored": a list of "table.column" that may differ between correct outcomes; mostly [].
"question": the user's request in plain words. It must determine one answer and one final database, ties included.
"solution": `def solution(tools): ...`. It may only call tools as tools.NAME(parameter=value) and compute with if, for,
  while, numbers, strings, lists, dicts and these functions: @BUILTINS@. No import, no lambda, no other attribute. It
  returns the answer: a short string or number. It must not know what only a tool can tell.
"verification": `def verify(before, after, answer): ...`. before and after are sqlite3.Connection of the database as it
  was and as it was left, answer is the text of the final answer. Return True only for the right outcome: compare
  the answer exactly (answer.strip() == ...), check all changes that must be there AND that nothing else changed.

Your work is checked by running it: the solution must pass the verification, and many wrong outcomes must fail it: other
answers, answers with extra words, missing changes, extra changes, changes of the wrong row."""


def system_prompt(kind: ToolKind) -> str:
    from baleen.environments.general.ast_check import BUILTINS

    return _SYSTEM.replace("@TOOLS@", _TOOLS[kind]).replace("@BUILTINS@", ", ".join(sorted(BUILTINS)))


def begin_prompt(theme: str) -> str:
    return f"Write an environment about {theme} with a simple task: one or two calls of tools solve it."


def harder_prompt(proposal: Mapping[str, Any], level: int) -> str:
    return (
        f"This task holds:\n{json.dumps(proposal, ensure_ascii=False)}\n\n"
        f"Now write a harder one in the same environment, difficulty {level}: more "
        f"steps, conditions that depend on what "
        'tools tell, changes over several tools. Answer with one JSON object of "question", "solution" and '
        '"verification"; where the task needs tools that are missing, add "tools" and what belongs to them, complete '
        "with the old ones. The database stays as it is."
    )


def repair_prompt(reason: str, detail: str) -> str:
    return (
        f"Rejected: {reason}{': ' + detail if detail else ''}\n\nMend it. Answer with the whole JSON object again, "
        "and nothing else."
    )
