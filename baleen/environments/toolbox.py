"""Tools with JSON schemas: offered in a system message, checked and run call by call.

Whatever a policy does wrong in a call comes back to it as the text of that call's result, beginning with
"error:".
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from baleen.chat import Message
from baleen.environments.task import result_message

_SHOWN = 200  # characters of a wrong argument that its error repeats


class ToolError(ValueError):
    """A call that a tool refuses; the text goes back to the policy."""


@dataclass(frozen=True)
class Tool:
    """A function a policy may call. `parameters`: JSON schema of its arguments. `run` takes them by name.

    `run` returns the result's text; it raises ToolError for what the policy did wrong, ToolFailure for what
    nobody did.
    """

    name: str
    description: str
    parameters: Mapping[str, Any]
    run: Callable[..., str]

    @property
    def schema(self) -> dict[str, Any]:
        """The tool as a system message carries it."""
        function = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


def parameters(properties: Mapping[str, Any], required: Sequence[str] | None = None) -> dict[str, Any]:
    """JSON schema of an object with these properties, all of them required unless `required` says which."""
    names = list(properties) if required is None else list(required)
    return {"type": "object", "properties": dict(properties), "required": names}


class Toolbox:
    """The tools of one episode."""

    def __init__(self, tools: Sequence[Tool]) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self._validators = {tool.name: Draft202012Validator(tool.parameters) for tool in tools}

    def answer(self, assistant: Message) -> list[Message]:
        """One tool message per call of `assistant`, in order. Raises ToolFailure."""
        return [self._result(call) for call in assistant.get("tool_calls") or ()]

    def _result(self, call: Mapping[str, Any]) -> Message:
        message = result_message(self._run(call["function"]))
        return message | {"tool_call_id": call["id"]} if "id" in call else message

    def refusal(self, name: str, arguments: Any) -> str:
        """Why a call is refused before its tool is run; empty if it is not."""
        if name not in self._tools:
            return f"no tool {name!r}; tools: {', '.join(self._tools) or 'none'}"
        if not isinstance(arguments, dict):
            return "the arguments are not a JSON object"
        unknown = set(arguments) - set(self._tools[name].parameters.get("properties", ()))
        if unknown:
            return f"{name} has no argument {', '.join(sorted(unknown))[:_SHOWN]}"
        wrong = best_match(self._validators[name].iter_errors(arguments))
        if wrong is None:
            return ""
        where = ".".join(map(str, wrong.absolute_path))
        return f"{where + ': ' if where else ''}{wrong.message[:_SHOWN]}"

    def _run(self, function: Mapping[str, Any]) -> str:
        name = function["name"]
        try:
            arguments = json.loads(function["arguments"]) if name in self._tools else {}
        except (ValueError, RecursionError):
            return "error: the arguments are not JSON"
        if refusal := self.refusal(name, arguments):
            return f"error: {refusal}"
        try:
            return self._tools[name].run(**arguments)
        except ToolError as error:
            return f"error: {error}"
