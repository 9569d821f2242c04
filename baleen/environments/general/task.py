"""What the data of a general task holds: its environment, its solution, and how its outcome is checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from baleen.environments.general.database import Changes
from baleen.environments.record import Record


@dataclass(frozen=True)
class EnvironmentSpec(Record):
    """A database and the tools on it.

    Attributes:
        name: also the family of its tasks.
        database: SQL script of CREATE TABLE and INSERT statements.
        tools: records of `SqlTool`; with `code`, the schema of each of its functions (name, description, parameters).
        code: Python module that defines the tools; "" if they are data.
        ignored: columns, as "table.column", that may differ between correct outcomes.
    """

    name: str
    database: str = field(repr=False)
    tools: tuple[Mapping[str, Any], ...] = field(repr=False)
    code: str = field(default="", repr=False)
    ignored: tuple[str, ...] = ()


class ToolCall(NamedTuple):
    """One call of a solution, with its result as the policy reads it."""

    name: str
    arguments: dict[str, Any]
    result: str


@dataclass(frozen=True)
class GeneralTask(Record):
    """Data of a general task.

    Attributes:
        environment: where it is played.
        solution: text of `solution(tools, **parameters)`.
        parameters: what its question and its solution are about.
        calls: what the solution calls, in order.
        changes: what the solution changes in the database.
        verification: text of `verify(before, after, answer)`; if "", the answer must equal the task's.
        offered: schemas of the tools that the task offers, if its messages do not have them.
    """

    environment: EnvironmentSpec
    solution: str = field(repr=False)
    parameters: Mapping[str, Any]
    calls: tuple[ToolCall, ...]
    changes: Changes
    verification: str = field(default="", repr=False)
    offered: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    def to_data(self) -> dict[str, Any]:
        """The record as plain JSON values; `offered` only if there are any."""
        data = super().to_data()
        if not self.offered:
            del data["offered"]
        return data
