"""Tools on the database of an episode, and those that are data: checks and statements in SQL.

A tool that is data needs no process and a call takes microseconds, so that training can play thousands of episodes.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from baleen.environments.general.database import DatabaseError, build, connect, guarded
from baleen.environments.general.served import ServedTools
from baleen.environments.general.task import EnvironmentSpec
from baleen.environments.record import Record
from baleen.environments.toolbox import Tool, ToolError, parameters

Shape = Literal["value", "column", "row", "rows"]
ParameterType = Literal["integer", "string"]
MAX_ROWS = 100
MAX_CHARACTERS = 20_000  # of a result


class ToolSource(Protocol):
    """The tools of one episode and the database that they work on."""

    @property
    def schemas(self) -> Sequence[Mapping[str, Any]]:
        """Name, description and parameters of each tool."""
        ...

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        """Call a tool. Returns a JSON value. Raises ToolError, ToolFailure."""
        ...

    def database(self) -> bytes:
        """The database as it is now, serialized."""
        ...

    def restore(self, data: bytes) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class SqlTool(Record):
    """A tool that is data. Queries refer to a parameter as `:name`, error messages as `{name}`.

    Attributes:
        name: its name.
        description: what it returns or does.
        types: type of each parameter.
        returns: query of the result.
        shape: the result is the first "value" or "row" of the query, or all of its first "column", or all "rows".
        missing: error if a "value" or "row" does not exist.
        checks: (query, error) pairs; the call is refused with the first error whose query finds no row.
        writes: statements, of which all are executed or none.
    """

    name: str
    description: str
    types: Mapping[str, ParameterType]
    returns: str
    shape: Shape = "value"
    missing: str = "nothing found"
    checks: tuple[tuple[str, str], ...] = ()
    writes: tuple[str, ...] = ()


def open_tools(environment: EnvironmentSpec) -> ToolSource:
    """Open the tools of an environment on a fresh database.

    Raises:
        DatabaseError: the database script is wrong.
        TaskError: a tool that should be data is damaged.
    """
    data = build(environment.database)
    if environment.code:
        return ServedTools(environment.tools, environment.code, data)
    return SqlTools([SqlTool.from_data(row) for row in environment.tools], data)


class SqlTools:
    """Tools that are data, on a database in this process."""

    def __init__(self, tools: Sequence[SqlTool], data: bytes) -> None:
        """Open a copy of the serialized database `data`. Raises DatabaseError."""
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
    """The argument in the type of its column: compact schemas declare every parameter a string."""
    if kind != "integer" or isinstance(value, int):
        return value
    try:
        return int(str(value))
    except ValueError:
        raise ToolError(f"{name} is {str(value)[:40]!r}; it must be an integer") from None


def _shaped(cursor: sqlite3.Cursor, tool: SqlTool, values: Mapping[str, Any]) -> Any:
    rows = cursor.fetchmany(MAX_ROWS + 1)
    if len(rows) > MAX_ROWS:
        raise ToolError(f"the result has more than {MAX_ROWS} rows; ask for less")
    if tool.shape == "column":
        return [row[0] for row in rows]
    names = [column[0] for column in cursor.description]
    if tool.shape == "rows":
        return [dict(zip(names, row, strict=True)) for row in rows]
    if not rows or rows[0][0] is None:
        raise ToolError(_filled(tool.missing, values))
    return rows[0][0] if tool.shape == "value" else dict(zip(names, rows[0], strict=True))


def _filled(text: str, values: Mapping[str, Any]) -> str:
    # Not str.format, which would let an author's text read attributes of the values.
    for name, value in values.items():
        text = text.replace("{" + name + "}", str(value))
    return text


def as_text(result: Any) -> str:
    """A result as a policy reads it: a string unchanged, anything else as JSON. Raises ToolError if it is too long."""
    text = result if isinstance(result, str) else json.dumps(result, ensure_ascii=False, default=str)
    if len(text) > MAX_CHARACTERS:
        raise ToolError(f"the result has {len(text)} characters; the limit is {MAX_CHARACTERS}; ask for less")
    return text


def toolbox_tools(source: ToolSource, schemas: Sequence[Mapping[str, Any]]) -> list[Tool]:
    """The tools of `source` that `schemas` describe, for a Toolbox."""

    def runner(name: str) -> Any:
        return lambda **arguments: as_text(source.call(name, arguments))

    return [Tool(s["name"], s["description"], s["parameters"], runner(s["name"])) for s in schemas]
