"""How a general task is presented: its tools in one line, and its solution as an episode."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from baleen.chat import Message
from baleen.environments.general.task import GeneralTask
from baleen.environments.task import Style, Task, answer_message, call_message, result_message


def inline_tools(task: Task) -> Task:
    """Describe the tools of a task in one line before its question instead of in a system message.

    For small models: the usual description of how to call tools takes four hundred tokens, this one about forty. The
    environment stays the same.
    """
    user, offered = task.messages[-1], offered_schemas(task)
    content = f"Tools: {'; '.join(map(_line, offered))}. {task.question}"
    data = replace(GeneralTask.of(task), offered=tuple(offered))
    return replace(task, messages=({**user, "content": content},), data=data.to_data())


def offered_schemas(task: Task) -> Sequence[Mapping[str, Any]]:
    """Schemas of the tools that a task offers: from its messages or, after `inline_tools`, from its data."""
    offered = [tool["function"] for message in task.messages for tool in message.get("tools") or ()]
    return offered or GeneralTask.of(task).offered


def _line(tool: Mapping[str, Any]) -> str:
    # names in quotes, as in the usual description: a word after a space is another token
    names = " ".join(map(json.dumps, (tool["name"], *tool["parameters"]["properties"])))
    return f"{tool['description'].strip()}: {names}"


def demonstrate(task: Task, assets: Path | None = None, style: Style = "full") -> list[Message]:
    """Write the solution of a task as an episode.

    Style "full" writes a thought before each call and before the answer. The thought repeats the line of the tool that
    is needed, then the arguments, so that a small model decides on one thing at a time. "direct" writes no thoughts.
    "short" calls no tool and guesses the last word of the question, which is wrong: no question contains its answer.

    Args:
        task: a general task.
        assets: not used; the calls and their results are in the task.
        style: how much is written.
    """
    if style == "short":
        guess = re.findall(r"\w+", task.question)[-1]
        return [answer_message(guess, f": {guess}")]
    messages: list[Message] = []
    thoughts = style == "full"
    lines = {tool["name"]: _line(tool) for tool in offered_schemas(task)}
    for name, arguments, result in GeneralTask.of(task).calls:
        thought = f"= {lines[name]}: {' '.join(map(str, arguments.values()))}".strip()
        messages.append(call_message(name, arguments, thought if thoughts else None))
        messages.append(result_message(result))
    messages.append(answer_message(task.answer, f"= {task.answer}" if thoughts else None))
    return messages
