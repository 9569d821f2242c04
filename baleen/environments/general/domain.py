"""What a domain of the scripted author consists of: tables, rows drawn from a seed, tools, and task templates."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from baleen.environments.general.tools import ParameterType, Shape, SqlTool

Tools = Any  # what a solution calls: tools.NAME(parameter=value, ...)
Rows = Mapping[str, Sequence[tuple[Any, ...]]]
Solution = Callable[..., Any]
_TYPES: dict[str, ParameterType] = {"int": "integer", "": "string"}


@dataclass(frozen=True)
class TaskTemplate:
    """A kind of task in a domain.

    Attributes:
        level: difficulty, from 1.
        instances: SQL query, one row per instance; its columns are the parameters of question and solution.
        questions: phrasings with `{parameter}` placeholders.
        solve: the solution, `solve(tools, **parameters)`; it may only call tools and compute.
    """

    level: int
    instances: str
    questions: tuple[str, ...]
    solve: Solution


@dataclass(frozen=True)
class DomainSpec:
    """A domain. Its task templates are added by the decorator `task`, each above the function that solves it.

    Attributes:
        name: also the family of its tasks.
        tables: table -> its columns, as CREATE TABLE takes them.
        fill: draws the rows of each table; the second argument is the number of things of the main kind.
        tools: all tools of the domain; a task offers some of them.
    """

    name: str
    tables: Mapping[str, str]
    fill: Callable[[random.Random, int], Rows]
    tools: tuple[SqlTool, ...]
    templates: list[TaskTemplate] = field(default_factory=list, init=False, repr=False)

    def task(self, level: int, instances: str, *questions: str) -> Callable[[Solution], Solution]:
        """Decorate a solution with the task that it solves; see `TaskTemplate` for the arguments."""

        def add(solve: Solution) -> Solution:
            self.templates.append(TaskTemplate(level, instances, questions, solve))
            return solve

        return add

    def script(self, rng: random.Random, size: int) -> str:
        """Draw the database of one environment, as an SQL script."""
        rows = self.fill(rng, size)
        assert set(rows) == set(self.tables), f"{self.name} fills {sorted(rows)}"
        lines = [f"CREATE TABLE {table} ({columns});" for table, columns in self.tables.items()]
        for table in self.tables:
            values = ",\n".join(f"({', '.join(map(_literal, row))})" for row in rows[table])
            lines.append(f"INSERT INTO {table} VALUES\n{values};")
        return "\n".join(lines)


def query_tool(
    name: str, parameters: str, description: str, returns: str, shape: Shape = "value", missing: str = ""
) -> SqlTool:
    """A tool that reads.

    Args:
        name: its name.
        parameters: such as "room:int guest"; a parameter without a type is a string.
        description: what it returns, as a noun phrase.
        returns: SQL query of the result.
        shape: what of the query's rows is the result.
        missing: error when there is no such row; by default it repeats the arguments.
    """
    types = _types(parameters)
    return SqlTool(name, description, types, returns, shape, missing or _missing(types))


def update_tool(
    name: str,
    parameters: str,
    description: str,
    checks: Sequence[tuple[str, str]],
    writes: Sequence[str],
    returns: str = "SELECT 'done'",
) -> SqlTool:
    """A tool that writes, if its checks pass.

    Args:
        name: its name.
        parameters: as in `query_tool`.
        description: what it does, as an imperative.
        checks: (query, error) pairs; the call is refused with the first error whose query finds no row.
        writes: SQL statements.
        returns: SQL query of the result, a single value.
    """
    types = _types(parameters)
    return SqlTool(name, description, types, returns, "value", "failed", tuple(checks), tuple(writes))


def _types(parameters: str) -> dict[str, ParameterType]:
    pairs = (word.partition(":") for word in parameters.split())
    return {name: _TYPES[kind] for name, _, kind in pairs}


def _missing(types: Mapping[str, str]) -> str:
    arguments = ", ".join(f"{name} {{{name}}}" for name in types)
    return f"nothing found for {arguments}" if arguments else "nothing found"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
