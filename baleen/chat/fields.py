"""Reading the fields of OpenAI-style messages, with errors that say which message and which field."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from baleen.chat.errors import EncodingError

Message = dict[str, Any]
ThinkingMode = Literal["chat", "thinking"]


@dataclass(frozen=True)
class Field:
    """A place in a conversation: message `index`, dotted path `name`."""

    index: int
    name: str

    def error(self, kind: str, message: str) -> EncodingError:
        return EncodingError(kind, self.index, self.name, message)

    def member(self, value: Any, key: str) -> tuple[Any, "Field"]:
        """`value[key]` and its place. Raises EncodingError `missing_field:KEY`."""
        place = Field(self.index, f"{self.name}.{key}")
        if not isinstance(value, Mapping) or key not in value:
            raise place.error(f"missing_field:{key}", "is missing")
        return value[key], place

    def json(self, value: Any) -> str:
        """`value` as the format writes JSON: Python's separators, insertion order, characters verbatim."""
        try:
            return json.dumps(value, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise self.error("not_json_serialisable", str(error)) from error


@dataclass(frozen=True)
class Call:
    """A tool call as given: `arguments` is not read yet, `place` is where it stands."""

    name: Any
    arguments: Any
    place: Field


def read_functions(message: Message, at: Field) -> list[Any]:
    """The `function` objects of `tools`; nothing else of a tool is shown to the model."""
    return [place.member(tool, "function")[0] for tool, place in _entries(message, "tools", at)]


def read_calls(message: Message, at: Field) -> list[Call]:
    calls = []
    for entry, place in _entries(message, "tool_calls", at):
        function, inside = place.member(entry, "function")
        name, _ = inside.member(function, "name")
        arguments, where = inside.member(function, "arguments")
        calls.append(Call(name, arguments, where))
    return calls


def read_arguments(call: Call) -> dict[str, Any]:
    """The arguments of a call, which the format wants as a JSON string holding an object."""
    if not isinstance(call.arguments, str):
        got = type(call.arguments).__name__
        raise call.place.error("tool_call_arguments_not_string", f"wants a JSON string, got {got}")
    try:
        value = json.loads(call.arguments)
    except (ValueError, RecursionError) as error:
        raise call.place.error("tool_call_arguments_not_json", f"not JSON: {error}") from error
    if not isinstance(value, dict):
        got = call.arguments[:40]
        raise call.place.error("tool_call_arguments_not_object", f"wants a JSON object, got {got!r}")
    return value


def _entries(message: Message, name: str, at: Field) -> Sequence[tuple[Any, Field]]:
    value = message.get(name)
    if not value:
        return ()
    if not isinstance(value, list | tuple):
        raise Field(at.index, name).error("field_not_list", f"wants a list, got {type(value).__name__}")
    return [(entry, Field(at.index, f"{name}[{n}]")) for n, entry in enumerate(value)]
