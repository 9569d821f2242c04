"""The world of the suite's tasks: a question, two tools, and an exact check of the answer."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from baleen.chat import Message
from baleen.environments.calculator import ExpressionError, evaluate
from baleen.environments.lookup import next_key
from baleen.environments.task import Task, result_message


def _tool(name: str, description: str, parameter: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {parameter: {"type": "string"}}, "required": [parameter]}
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": schema},
    }


# Every tool task offers both tools, so that all their prompts begin with the same tokens.
SYSTEM_MESSAGE: Message = {
    "role": "system",
    "content": "",
    "tools": [
        _tool("calculate", "Exact value of integers joined by + - *", "expression"),
        _tool("lookup", "The key that a three-digit key points to", "key"),
    ],
}


class ToolWorld:
    """An episode of a task: it runs the calls of each assistant message until one has none.

    Whatever a policy does wrong in a call comes back to it as the text of that call's result, beginning with
    "error:".
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._tools: dict[str, tuple[str, Callable[[str], str]]] = {}
        if any(message.get("tools") for message in task.messages):
            self._tools = {"calculate": ("expression", _calculate), "lookup": ("key", self._lookup)}

    def reset(self) -> list[Message]:
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        return [self._result(call) for call in assistant.get("tool_calls") or ()]

    def score(self, final: Message) -> float:
        content = final.get("content")
        if final.get("role") != "assistant" or final.get("tool_calls") or not isinstance(content, str):
            return 0.0
        return 1.0 if content.strip() == self.task.answer else 0.0

    def _result(self, call: Mapping[str, Any]) -> Message:
        message = result_message(self._run(call["function"]))
        return message | {"tool_call_id": call["id"]} if "id" in call else message

    def _run(self, function: Mapping[str, Any]) -> str:
        if function["name"] not in self._tools:
            return f"error: no tool {function['name']!r}; tools: {', '.join(self._tools) or 'none'}"
        parameter, tool = self._tools[function["name"]]
        try:
            arguments = json.loads(function["arguments"])
        except (ValueError, RecursionError):
            return "error: the arguments are not JSON"
        if not isinstance(arguments, dict) or set(arguments) != {parameter}:
            return f"error: wants exactly the argument {parameter!r}"
        value = arguments[parameter]
        return tool(value) if isinstance(value, str) else f"error: {parameter!r} must be a string"

    def _lookup(self, key: str) -> str:
        # Tasks without a store of their own get one by their name, so that a stray call has a stable result.
        found = next_key(str(self.task.data.get("salt", self.task.id)), key)
        return found if found is not None else f"error: no key {key!r}"


def _calculate(expression: str) -> str:
    try:
        return str(evaluate(expression))
    except ExpressionError as error:
        return f"error: {error}"
