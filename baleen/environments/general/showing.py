"""How a task is shown: with its tools in one line, and as the episode of its solution."""

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from baleen.chat import Message
from baleen.environments.task import Style, Task, answer_message, call_message, result_message


def briefly(task: Task) -> Task:
    """The task with one line before its question that names what the tools are for, the tools and their parameters.

    For small models: the usual description of how tools are called takes four hundred tokens, this some forty. The
    environment is the same.
    """
    user, offered = task.messages[-1], offered_schemas(task)
    asked = f"Tools: {'; '.join(map(_line, offered))}. {task.question}"
    return replace(task, messages=({**user, "content": asked},), data={**task.data, "offered": offered})


def offered_schemas(task: Task) -> list[Mapping[str, Any]]:
    """Schemas of the tools that a task offers: those of its messages or, of a brief task, those put aside."""
    offered = [tool["function"] for message in task.messages for tool in message.get("tools") or ()]
    return offered or task.data.get("offered", [])


def _line(tool: Mapping[str, Any]) -> str:
    # in quotes, as in the usual description: a word after a space is another token
    names = " ".join(map(json.dumps, (tool["name"], *tool["parameters"]["properties"])))
    return f"{tool['description'].strip()}: {names}"


def demonstrate(task: Task, assets: Path | None = None, style: Style = "full") -> list[Message]:
    """The solution as an episode: "full" writes a thought before each call and the answer, "direct" none.

    A thought repeats the line of the tool that is needed, beginning with a word of the question, and says what to call
    it with: one thing after the other, so that a small model can choose. "short" calls nothing and guesses the
    question's last word, which is wrong: a question does not name its answer. assets: not needed; the calls are in the
    task.
    """
    if style == "short":
        guess = re.findall(r"\w+", task.question)[-1]
        return [answer_message(guess, f": {guess}")]
    messages: list[Message] = []
    thoughts = style == "full"
    lines = {tool["name"]: _line(tool) for tool in offered_schemas(task)}
    for name, arguments, result in task.data["calls"]:
        thought = f"= {lines[name]}: {' '.join(map(str, arguments.values()))}".strip()
        messages.append(call_message(name, arguments, thought if thoughts else None))
        messages.append(result_message(result))
    messages.append(answer_message(task.answer, f"= {task.answer}" if thoughts else None))
    return messages
