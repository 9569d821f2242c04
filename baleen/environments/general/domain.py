"""What a domain of the scripted author is made of: tables, rows from a seed, tools, and shapes of tasks."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from baleen.environments.general.tools import Shape, SqlTool

Tools = Any  # what a solution calls: tools.NAME(parameter=value, ...)
Rows = Mapping[str, Sequence[tuple[Any, ...]]]


@dataclass(frozen=True)
class TaskShape:
    """A kind of question. level: its difficulty, from 1.

    pick: a query of which every row is an instance: its columns are the parameters of the question and of the
    solution. ask: phrasings with `{parameter}`s. solve: the solution, which may only call tools and compute.
    """

    level: int
    pick: str
    ask: tuple[str, ...]
    solve: Callable[..., Any]


@dataclass(frozen=True)
class DomainSpec:
    """A domain. fill: rows of each table; `size` is the number of things of the main kind."""

    name: str
    tables: Mapping[str, str]
    fill: Callable[[random.Random, int], Rows]
    tools: tuple[SqlTool, ...]
    shapes: tuple[TaskShape, ...] = field(repr=False)

    def script(self, rng: random.Random, size: int) -> str:
        """The database of one environment as SQL."""
        rows = self.fill(rng, size)
        assert set(rows) == set(self.tables), f"{self.name} fills {sorted(rows)}"
        lines = [f"CREATE TABLE {table} ({columns});" for table, columns in self.tables.items()]
        for table in self.tables:
            values = ",\n".join(f"({', '.join(map(_literal, row))})" for row in rows[table])
            lines.append(f"INSERT INTO {table} VALUES\n{values};")
        return "\n".join(lines)


def look(
    name: str, takes: str, description: str, returns: str, shape: Shape = "value", missing: str = ""
) -> SqlTool:
    """A tool that reads. takes: parameters such as "room:int guest"; a type that is not named is a string."""
    types = _types(takes)
    return SqlTool(name, description, types, returns, shape, missing or _missing(types))


def change(
    name: str,
    takes: str,
    description: str,
    checks: Sequence[tuple[str, str]],
    writes: Sequence[str],
    returns: str = "SELECT 'done'",
) -> SqlTool:
    """A tool that writes when all checks find a row."""
    return SqlTool(name, description, _types(takes), returns, "value", "failed", tuple(checks), tuple(writes))


def _types(takes: str) -> dict[str, str]:
    pairs = (word.partition(":") for word in takes.split())
    return {name: {"int": "integer", "": "string"}[kind] for name, _, kind in pairs}


def _missing(types: Mapping[str, str]) -> str:
    return (
        "nothing found for " + ", ".join(f"{name} {{{name}}}" for name in types) if types else "nothing found"
    )


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else str(value)
