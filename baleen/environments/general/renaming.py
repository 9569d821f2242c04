"""Tasks whose tools have made-up names: only descriptions tell what they do, as in a domain never seen before."""

import random
import re
from collections.abc import Mapping
from typing import Any

from baleen.environments.general.sampling import general_task
from baleen.environments.task import Task

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"


def rename_tools(task: Task, rng: random.Random) -> Task:
    """The same task with made-up names for its tools, consistent in offer, environment, solution and calls.

    For training that must carry over to unseen domains: a policy cannot learn names by heart. Only for tools that are
    data.
    """
    environment: Mapping[str, Any] = task.data["environment"]
    assert not environment["code"], "tools written in Python keep their names"
    schemas = [tool["function"] for tool in task.messages[0]["tools"]]
    names: dict[str, str] = {}
    for tool in environment["tools"]:
        names[tool["name"]] = _new_name(rng, {*names, *names.values()})
    tools = [{**tool, "name": names[tool["name"]]} for tool in environment["tools"]]
    data = {
        **task.data,
        "environment": {**environment, "tools": tools},
        "solution": re.sub(
            r"\btools\.(\w+)", lambda match: f"tools.{names[match[1]]}", task.data["solution"]
        ),
        "calls": [[names[name], arguments, result] for name, arguments, result in task.data["calls"]],
    }
    offered = [{**schema, "name": names[schema["name"]]} for schema in schemas]
    return general_task(task.family, task.difficulty, task.split, offered, task.question, task.answer, data)


def _new_name(rng: random.Random, taken: set[str]) -> str:
    while True:
        name = "".join(rng.choice(_CONSONANTS) + rng.choice(_VOWELS) for _ in range(3))
        if name not in taken:
            return name
