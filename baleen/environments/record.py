"""Typed records of what `Task.data` holds: written and read in one place for each kind of task."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from baleen.environments.task import Task, TaskError

_SHOWN = 60  # characters of a wrong value that its error repeats


class Record:
    """Base of frozen dataclasses whose fields are the keys of a JSON object."""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_data` wrote. Keys that are not fields are ignored.

        Raises:
            TaskError: a field is missing or has a wrong value; the message names the field.
        """
        try:
            return _adapter(cls).validate_python(data)
        except ValidationError as error:
            raise TaskError(_message(error)) from None

    @classmethod
    def of(cls, task: Task) -> Self:
        """Read the data of a task.

        Raises:
            TaskError: as `from_data`; the message names the task too.
        """
        try:
            return cls.from_data(task.data)
        except TaskError as error:
            raise TaskError(f"task {task.id}, data: {error}") from None

    def to_data(self) -> dict[str, Any]:
        """The record as JSON values, with keys in field order."""
        return _adapter(type(self)).dump_python(self, mode="json")


@cache
def _adapter(cls: type[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(cls)


def _message(error: ValidationError) -> str:
    """The first error in one line: field, value, and what the value must be."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the record"
    if first["type"] == "missing":
        return f"{where} is missing"
    must = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    return f"{where} is {repr(first['input'])[:_SHOWN]}; {must}"
