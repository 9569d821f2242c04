"""Tasks in other words, as in a domain never seen before: what a tool is for must be read, it cannot be known."""

import ast
import random
import re
from collections.abc import Iterable, Mapping
from typing import Any

from baleen.environments.general.revaluing import revalue
from baleen.environments.general.sampling import general_task
from baleen.environments.general.showing import offered_schemas
from baleen.environments.general.words import COMMON
from baleen.environments.task import Task

_FUNCTION_WORDS = frozenset(
    ("all", "and", "are", "between", "for", "from", "has", "its", "left", "out", "that", "the", "take", "was")
    + ("where", "who", "with")
)


def reword(task: Task, rng: random.Random) -> Task:
    """The same task with words drawn at random for its kinds of things, properties and deeds, and for its tools.

    A tool's name is made of words of its description; things in the database have other names (`revalue`). Question,
    offer, environment, solution and calls agree. For training that must carry over to unseen domains: a policy cannot
    learn what tools do, or are called, by heart. Only for tools that are data.
    """
    task = revalue(task, rng)
    environment: Mapping[str, Any] = task.data["environment"]
    assert not environment["code"], "tools written in Python keep their names"
    values = [value for _, arguments, result in task.data["calls"] for value in (*arguments.values(), result)]
    said = set(re.findall(r"[a-z]+", f"{values} {task.answer}".lower()))
    told = {word for tool in environment["tools"] for word in _words(tool["description"])}
    parameters = {name for tool in environment["tools"] for name in tool["types"]}
    words = _others(told | parameters, said, rng)
    names: dict[str, str] = {}
    for tool in environment["tools"]:
        described = _words(_reworded(tool["description"], words))
        names[tool["name"]] = _tool_name(described, {*names.values(), *words.values()}, rng)
    schemas = [_schema(schema, names, words) for schema in offered_schemas(task)]
    data = {
        **task.data,
        "environment": {**environment, "tools": [_tool(tool, names, words) for tool in environment["tools"]]},
        "solution": _solution(task.data["solution"], names, words),
        "calls": [[names[name], _keys(given, words), result] for name, given, result in task.data["calls"]],
    }
    question = _reworded(task.question, words)
    return general_task(task.family, task.difficulty, task.split, schemas, question, task.answer, data)


def _schema(schema: Mapping[str, Any], names: Mapping[str, str], words: Mapping[str, str]) -> dict[str, Any]:
    parameters = schema["parameters"]
    return {
        **schema,
        "name": names[schema["name"]],
        "description": _reworded(schema["description"], words),
        "parameters": {
            **parameters,
            "properties": _keys(parameters["properties"], words),
            "required": [words.get(name, name) for name in parameters["required"]],
        },
    }


def _tool(tool: Mapping[str, Any], names: Mapping[str, str], words: Mapping[str, str]) -> dict[str, Any]:
    def query(sql: str) -> str:
        return re.sub(r":([a-z_]\w*)", lambda match: ":" + words.get(match[1], match[1]), sql)

    def error(text: str) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: "{" + words.get(match[1], match[1]) + "}", text)

    return {
        **tool,
        "name": names[tool["name"]],
        "description": _reworded(tool["description"], words),
        "types": _keys(tool["types"], words),
        "returns": query(tool["returns"]),
        "missing": error(tool["missing"]),
        "checks": [[query(sql), error(text)] for sql, text in tool["checks"]],
        "writes": [query(sql) for sql in tool["writes"]],
    }


def _solution(source: str, names: Mapping[str, str], words: Mapping[str, str]) -> str:
    """The solution with its calls and their keywords renamed; its own parameters keep their names."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node.func.attr = names.get(node.func.attr, node.func.attr)
            for keyword in node.keywords:
                keyword.arg = words.get(keyword.arg or "", keyword.arg)
    return ast.unparse(tree) + "\n"


def _keys(mapping: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    return {words.get(name, name): value for name, value in mapping.items()}


def _words(text: str) -> list[str]:
    """Words of a description that name a kind of thing, a property or a deed."""
    return [word for word in re.findall(r"[a-z]{3,}", text) if word not in _FUNCTION_WORDS]


def _reworded(text: str, words: Mapping[str, str]) -> str:
    def new(match: re.Match[str]) -> str:
        word = words.get(match[0].lower(), match[0])
        return word.capitalize() if match[0][0].isupper() and word != match[0] else word

    return re.sub(r"[A-Za-z]+", new, text)


def _tool_name(described: list[str], taken: Iterable[str], rng: random.Random) -> str:
    name = "_".join(rng.sample(described, min(len(described), rng.choice((1, 2, 2, 3)))))
    while name in taken:
        name += f"_{rng.choice(COMMON)}"
    return name


def _others(old: set[str], kept: set[str], rng: random.Random) -> dict[str, str]:
    """For each word of `old` that is not `kept` a word that is in neither."""
    old = old - kept
    free = [word for word in COMMON if word not in old and word not in kept]
    return dict(zip(sorted(old), rng.sample(free, len(old)), strict=True))
