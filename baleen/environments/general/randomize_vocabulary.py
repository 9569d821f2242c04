"""Tasks whose vocabulary is drawn at random: what a tool does has to be read, as in a domain never seen before."""

import ast
import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from baleen.environments.general.presentation import offered_schemas
from baleen.environments.general.randomize_values import randomize_values
from baleen.environments.general.sampling import general_task
from baleen.environments.general.task import GeneralTask
from baleen.environments.general.words import COMMON
from baleen.environments.task import Task

# Words of descriptions and questions that keep their meaning.
_FUNCTION_WORDS_TEXT = (
    "all and another are back between for from has have its last left may out take takes that the two was when where "
    "who will with"
)
_FUNCTION_WORDS = frozenset(_FUNCTION_WORDS_TEXT.split())


def randomize_vocabulary(task: Task, rng: random.Random) -> Task:
    """Replace the words for kinds of things, properties and actions by words drawn at random.

    The name of each tool is made of words of its new description, and the things in the database get other names
    (`randomize_values`). Question, schemas, environment, solution and calls still agree. Training on such tasks carries
    over to domains never seen before, because a policy cannot memorize what tools do or what they are called.

    Args:
        task: a general task whose tools are data.
        rng: the source of all randomness.
    """
    task = randomize_values(task, rng)
    data = GeneralTask.of(task)
    environment = data.environment
    assert not environment.code, "tools written in Python keep their names"
    values = [value for call in data.calls for value in (*call.arguments.values(), call.result)]
    kept = set(re.findall(r"[a-z]+", f"{values} {task.answer}".lower()))
    described = {word for tool in environment.tools for word in _content_words(tool["description"])}
    parameters = {name for tool in environment.tools for name in tool["types"]}
    words = _new_words(described | parameters, kept, rng)
    names: dict[str, str] = {}
    for tool in environment.tools:
        description = _content_words(_reworded(tool["description"], words))
        names[tool["name"]] = _tool_name(description, {*names.values(), *words.values()}, rng)
    schemas = [_schema(schema, names, words) for schema in offered_schemas(task)]
    new_data = replace(
        data,
        environment=replace(
            environment, tools=tuple(_tool(tool, names, words) for tool in environment.tools)
        ),
        solution=_solution(data.solution, names, words),
        calls=tuple(
            call._replace(name=names[call.name], arguments=_renamed(call.arguments, words))
            for call in data.calls
        ),
    )
    question = _reworded(task.question, words)
    return general_task(task.family, task.difficulty, task.split, schemas, question, task.answer, new_data)


def _schema(schema: Mapping[str, Any], names: Mapping[str, str], words: Mapping[str, str]) -> dict[str, Any]:
    parameters = schema["parameters"]
    return {
        **schema,
        "name": names[schema["name"]],
        "description": _reworded(schema["description"], words),
        "parameters": {
            **parameters,
            "properties": _renamed(parameters["properties"], words),
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
        "types": _renamed(tool["types"], words),
        "returns": query(tool["returns"]),
        "missing": error(tool["missing"]),
        "checks": [[query(sql), error(text)] for sql, text in tool["checks"]],
        "writes": [query(sql) for sql in tool["writes"]],
    }


def _solution(source: str, names: Mapping[str, str], words: Mapping[str, str]) -> str:
    """The solution with the tools and keywords of its calls renamed; its own parameters keep their names."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node.func.attr = names.get(node.func.attr, node.func.attr)
            for keyword in node.keywords:
                keyword.arg = words.get(keyword.arg or "", keyword.arg)
    return ast.unparse(tree) + "\n"


def _renamed(mapping: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    return {words.get(name, name): value for name, value in mapping.items()}


def _content_words(text: str) -> list[str]:
    """The words of a description that name a kind of thing, a property or an action."""
    return [word for word in re.findall(r"[a-z]{3,}", text) if word not in _FUNCTION_WORDS]


def _reworded(text: str, words: Mapping[str, str]) -> str:
    def new(match: re.Match[str]) -> str:
        word = words.get(match[0].lower(), match[0])
        return word.capitalize() if match[0][0].isupper() and word != match[0] else word

    return re.sub(r"[A-Za-z]+", new, text)


def _tool_name(description: list[str], taken: Iterable[str], rng: random.Random) -> str:
    name = "_".join(rng.sample(description, min(len(description), rng.choice((1, 2, 2, 3)))))
    while name in taken:
        name += f"_{rng.choice(COMMON)}"
    return name


def _new_words(old: set[str], kept: set[str], rng: random.Random) -> dict[str, str]:
    """A new word for each word of `old` that is not in `kept`; no new word is in either set."""
    old = old - kept
    free = [word for word in COMMON if word not in old and word not in kept]
    return dict(zip(sorted(old), rng.sample(free, len(old)), strict=True))
