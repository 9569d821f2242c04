"""Tools over an episode's database: where they come from, and those that are data - checks and statements of SQL.

Tools that are data need no process: a call takes microseconds, so that training can play thousands of episodes.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from baleen.environments.general.database import DatabaseError, connect, guarded
from baleen.environments.toolbox import Tool, ToolError, parameters

Shape = Literal["value", "column", "row", "rows"]
SHAPES = ("value", "column", "row", "rows")
MAX_ROWS = 100
MAX_TEXT = 20_000  # characters of a result


class ToolSource(Protocol):
    """The tools of one episode and the database they work on."""

    @property
    def schemas(self) -> Sequence[Mapping[str, Any]]:
        """name, description and parameters of each."""
        ...

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """The result as a JSON value. Raises ToolError, ToolFailure."""
        ...

    def database(self) -> bytes:
        """The database as it is now, serialised."""
        ...

    def restore(self, data: bytes) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class SqlTool:
    """A tool as data.

    types: parameter -> "integer" or "string". checks: (query, error) pairs in order; the call is refused with the
    error when the query has no row. writes: statements, all or none. returns: the query of the result, in its
    `shape`: the first "value" or "row", or all of a "column" or all "rows"; a "value" or "row" that is missing is
    refused with `missing`. Queries name parameters `:name`, errors `{name}`.
    """

    name: str
    description: str
    types: Mapping[str, str]
    returns: str
    shape: Shape = "value"
    missing: str = "nothing found"
    checks: tuple[tuple[str, str], ...] = ()
    writes: tuple[str, ...] = field(default=())

    def to_row(self) -> dict[str, Any]:
        """As JSON."""
        return vars(self) | {
            "types": dict(self.types),
            "checks": [list(check) for check in self.checks],
            "writes": list(self.writes),
        }

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> "SqlTool":
        """Raises ValueError, TypeError, KeyError for a row that is no tool."""
        tool = cls(
            name=row["name"],
            description=row["description"],
            types=dict(row["types"]),
            returns=row["returns"],
            shape=row.get("shape", "value"),
            missing=row.get("missing", "nothing found"),
            checks=tuple((str(sql), str(error)) for sql, error in row.get("checks", ())),
            writes=tuple(map(str, row.get("writes", ()))),
        )
        if tool.shape not in SHAPES:
            raise ValueError(
                f"the shape of {tool.name} is {tool.shape!r}; it must be one of {', '.join(SHAPES)}"
            )
        if wrong := set(tool.types.values()) - {"integer", "string"}:
            raise ValueError(f"a type of {tool.name} is {wrong.pop()!r}; it must be integer or string")
        return tool


class SqlTools:
    """Tools that are data, on a database in this process."""

    def __init__(self, tools: Sequence[SqlTool], data: bytes) -> None:
        """Raises DatabaseError."""
        self._tools = {tool.name: tool for tool in tools}
        self._connection = connect(data)

    @property
    def schemas(self) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "name": tool.name,
                "description": tool.description,
                "parameters": parameters({name: {"type": kind} for name, kind in tool.types.items()}),
            }
            for tool in self._tools.values()
        ]

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        tool = self._tools[name]
        values = {p: _typed(p, kind, arguments[p]) for p, kind in tool.types.items()}
        self._connection.execute("BEGIN")
        try:
            with guarded(self._connection):
                result = self._run(tool, values)
        except (DatabaseError, ToolError) as error:
            self._connection.execute("ROLLBACK")
            raise ToolError(str(error)) from None
        self._connection.execute("COMMIT")
        return result

    def _run(self, tool: SqlTool, values: Mapping[str, Any]) -> Any:
        for query, error in tool.checks:
            if self._connection.execute(query, values).fetchone() is None:
                raise ToolError(_filled(error, values))
        for statement in tool.writes:
            self._connection.execute(statement, values)
        return _shaped(self._connection.execute(tool.returns, values), tool, values)

    def database(self) -> bytes:
        return self._connection.serialize()

    def restore(self, data: bytes) -> None:
        self._connection.close()
        self._connection = connect(data)

    def close(self) -> None:
        self._connection.close()


def _typed(name: str, kind: str, value: Any) -> Any:
    """The argument as its column has it: compact schemas call every parameter a string."""
    if kind != "integer" or isinstance(value, int):
        return value
    try:
        return int(str(value))
    except ValueError:
        raise ToolError(f"{name} is {str(value)[:40]!r}, it must be an integer") from None


def _shaped(cursor: sqlite3.Cursor, tool: SqlTool, values: Mapping[str, Any]) -> Any:
    rows = cursor.fetchmany(MAX_ROWS + 1)
    if len(rows) > MAX_ROWS:
        raise ToolError(f"more than {MAX_ROWS} rows")
    if tool.shape == "column":
        return [row[0] for row in rows]
    names = [column[0] for column in cursor.description]
    if tool.shape == "rows":
        return [dict(zip(names, row, strict=True)) for row in rows]
    if not rows or rows[0][0] is None:
        raise ToolError(_filled(tool.missing, values))
    return rows[0][0] if tool.shape == "value" else dict(zip(names, rows[0], strict=True))


def _filled(text: str, values: Mapping[str, Any]) -> str:
    # Not str.format: an author's text must not reach into the values.
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def as_text(result: Any) -> str:
    """A result as a policy reads it: text as it is, everything else as JSON."""
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
    if len(text) > MAX_TEXT:
        raise ToolError(f"the result has {len(text)} characters, the limit is {MAX_TEXT}; ask for less")
    return text


def toolbox_tools(source: ToolSource, schemas: Sequence[Mapping[str, Any]]) -> list[Tool]:
    """The tools of `source` for a Toolbox, offered as `schemas` say."""

    def runner(name: str) -> Any:
        return lambda **arguments: as_text(source.call(name, arguments))

    return [Tool(s["name"], s["description"], s["parameters"], runner(s["name"])) for s in schemas]
