"""How a task is shown: with its tools in one line, and as the episode of its solution."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from baleen.chat import Message
from baleen.environments.task import Task, answer_message, call_message, result_message


def briefly(task: Task) -> Task:
    """The task with one line before its question that names what the tools are for, the tools and their parameters.

    For small models: the usual description of how tools are called takes four hundred tokens, this some forty. The
    environment is the same.
    """
    system, user = task.messages
    offered = "; ".join(_line(tool["function"]) for tool in system["tools"])
    return replace(task, messages=({**user, "content": f"Tools: {offered}. {task.question}"},))


def _line(tool: Mapping[str, Any]) -> str:
    # in quotes, as in the usual description: a word after a space is another token
    names = " ".join(map(json.dumps, (tool["name"], *tool["parameters"]["properties"])))
    return f"{tool['description'].strip()}: {names}"


def demonstrate(task: Task, assets: Path | None = None, thoughts: bool = True) -> list[Message]:
    """The solution as an episode: each call after a thought of what its tool is for and about what, then the answer.

    assets: not needed; the calls are in the task.
    """
    messages: list[Message] = []
    described = {tool["name"]: tool["description"] for tool in task.data["environment"]["tools"]}
    for name, arguments, result in task.data["calls"]:
        thought = f"= {described[name]}: {' '.join(str(value) for value in arguments.values())}".strip()
        messages.append(call_message(name, arguments, thought if thoughts else None))
        messages.append(result_message(result))
    messages.append(answer_message(task.answer, f"= {task.answer}" if thoughts else None))
    return messages
