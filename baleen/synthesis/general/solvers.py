"""Who tries a task before it is kept: solvers too simple to deserve success, and a model several times."""

import asyncio
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from baleen.agent import ChatModel, ChatPlayer, Limits, Usage, play
from baleen.chat import Message
from baleen.environments import Environment, Task, environment_for
from baleen.environments.general.sampling import ANSWER_WITH
from baleen.environments.task import answer_message, call_message

CHEAP_TRIES = 4
_MAX_CALLS = 4
LIMITS = Limits(max_turns=20, max_length=200_000)


def solved_cheaply(task: Task, rng: random.Random) -> str:
    """The name of a simple solver that solves the task in a few tries, "" if none does."""
    world = environment_for(task)
    try:
        for name, solver in CHEAP_SOLVERS.items():
            for _ in range(CHEAP_TRIES):
                world.reset()
                if world.score(solver(world, rng)) == 1.0:
                    return name
        return ""
    finally:
        world.close()


def _guess(world: Environment, rng: random.Random) -> Message:
    """A word of the question."""
    return answer_message(rng.choice(_words(world.task)))


def _first_tool(world: Environment, rng: random.Random) -> Message:
    """The first tool with words of the question; its result is the answer."""
    return answer_message(_call(world, _tools(world.task)[0], _words(world.task), rng))


def _random_tools(world: Environment, rng: random.Random) -> Message:
    """A few random tools with words of the question or of results; the last result is the answer."""
    words, result = _words(world.task), ""
    for _ in range(rng.randint(1, _MAX_CALLS)):
        result = _call(world, rng.choice(_tools(world.task)), words, rng)
        words = words + re.findall(r"\w+", result)[:20]
    return answer_message(result)


CHEAP_SOLVERS: dict[str, Callable[[Environment, random.Random], Message]] = {
    "direct guess": _guess,
    "first tool": _first_tool,
    "random tools": _random_tools,
}


def _words(task: Task) -> list[str]:
    """Names and numbers of the question if it has any."""
    words = re.findall(r"\w+", task.question.partition(ANSWER_WITH)[0])
    return [word for word in words[1:] if word[0].isupper() or word[0].isdigit()] or words


def _tools(task: Task) -> list[dict[str, Any]]:
    return [tool["function"] for message in task.messages for tool in message.get("tools") or ()]


def _call(world: Environment, tool: dict[str, Any], words: list[str], rng: random.Random) -> str:
    properties = tool["parameters"].get("properties", {})
    arguments: dict[str, Any] = {}
    for name, schema in properties.items():
        numbers = [word for word in words if word.isdigit()]
        is_number = schema.get("type") in ("integer", "number")
        arguments[name] = int(rng.choice(numbers)) if is_number and numbers else rng.choice(words)
    replies = world.step(call_message(tool["name"], json.loads(json.dumps(arguments))))
    return str(replies[0]["content"])


@dataclass(frozen=True)
class Attempts:
    """made: attempts that came to an end; those that the infrastructure broke are not among them."""

    made: int
    solved: int
    usage: Usage


def attempt(task: Task, model: ChatModel, times: int) -> Attempts:
    """Let a model try the task `times` times, one after the other. Raises BudgetSpent."""
    made, solved, usage = 0, 0, Usage()
    for number in range(times):
        # Without a seed of its own a server with a fixed default would give one answer many times.
        player = ChatPlayer(model, temperature=1.0, seed=number)
        trajectory = asyncio.run(play(player, environment_for(task), LIMITS))
        usage += trajectory.usage
        if trajectory.reward is not None:
            made += 1
            solved += trajectory.reward == 1.0
    return Attempts(made, solved, usage)
