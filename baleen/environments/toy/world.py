"""The world of the suite's tasks: a question, two tools, and an exact check of the answer."""

from baleen.chat import Message
from baleen.environments.task import Task, final_content
from baleen.environments.toolbox import Tool, Toolbox, ToolError
from baleen.environments.toy.calculator import ExpressionError, evaluate
from baleen.environments.toy.lookup import next_key


def _parameters(name: str) -> dict[str, object]:
    # Short, for it is part of every tool task's prompt.
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


def _tools(store: str) -> list[Tool]:
    """The suite's tools; `store` names the links that `lookup` follows."""

    def lookup(key: str) -> str:
        found = next_key(store, key)
        if found is None:
            raise ToolError(f"no key {key!r}")
        return found

    return [
        Tool("calculate", "Exact value of integers joined by + - *", _parameters("expression"), _calculate),
        Tool("lookup", "The key that a three-digit key points to", _parameters("key"), lookup),
    ]


def _calculate(expression: str) -> str:
    try:
        return str(evaluate(expression))
    except ExpressionError as error:
        raise ToolError(str(error)) from None


# Every tool task offers both tools, so that all their prompts begin with the same tokens.
SYSTEM_MESSAGE: Message = {"role": "system", "content": "", "tools": [tool.schema for tool in _tools("")]}


class ToolWorld:
    """An episode of a task: it runs the calls of each assistant message until one has none."""

    def __init__(self, task: Task) -> None:
        self.task = task
        offers = any(message.get("tools") for message in task.messages)
        # Tasks without a store of their own get one by their name, so that a stray call has a stable result.
        self._toolbox = Toolbox(_tools(str(task.data.get("salt", task.id))) if offers else [])

    def reset(self) -> list[Message]:
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        return self._toolbox.answer(assistant)

    def score(self, final: Message) -> float:
        return float(answers(final, self.task.answer))

    def snapshot(self) -> bytes:
        return b""  # nothing an episode does leaves a trace

    def restore(self, state: bytes) -> None:
        pass

    def close(self) -> None:
        pass


def answers(final: Message, truth: str) -> bool:
    """Whether the final assistant message's content, stripped of white space, is the truth."""
    content = final_content(final)
    return content is not None and content.strip() == truth
