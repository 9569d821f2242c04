"""The registry of task families: sampling, demonstrations, worlds, and documents for pre-training."""

import importlib
import json
import random
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from baleen.chat import Message
from baleen.environments.task import (
    SPLITS,
    STYLES,
    Domain,
    Environment,
    Family,
    Split,
    Style,
    Task,
    TaskError,
    split_of,
)
from baleen.environments.toy.arithmetic import Sum
from baleen.environments.toy.calculator import Calculator
from baleen.environments.toy.lookup import Lookup
from baleen.environments.toy.programs import OneOperation, Program
from baleen.environments.toy.world import SYSTEM_MESSAGE, ToolWorld

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        Sum(),
        Program(),
        OneOperation("reverse", "rev"),
        OneOperation("sort", "sort"),
        Calculator(),
        Lookup(),
    )
}


GENERAL: Literal["general"] = "general"  # the family whose tasks come from many domains
REWORDED = 0.75  # share of its tasks to train on that are in other words, about other things

# domain -> (module, class) of the worlds that synthesised tasks are played in
_WORLDS: dict[str, tuple[str, str]] = {
    "code": ("baleen.environments.code", "CodeWorld"),
    "search": ("baleen.environments.search.world", "SearchWorld"),
    "interpreter": ("baleen.environments.interpreter", "InterpreterWorld"),
    "general": ("baleen.environments.general", "GeneralWorld"),
}


def family_of(name: str) -> Family:
    """Raises TaskError for an unknown name."""
    _require("family", name, FAMILIES)
    return FAMILIES[name]


def domain_of(family: str) -> Domain:
    """The domain of a family's tasks. Raises TaskError."""
    return GENERAL if family == GENERAL else family_of(family).domain


def families_of(domain: Domain) -> list[str]:
    """Names of the families of a domain, in a fixed order."""
    return [family.name for family in FAMILIES.values() if family.domain == domain]


def sample_task(family: str, difficulty: int, rng: random.Random, split: Split) -> Task:
    """A random task; the same state of `rng` gives the same task. Raises TaskError.

    Instances are drawn until one falls in the wanted split: about one draw for "train", eight for "heldout". The
    family "general" draws from the scripted environments: held out are whole domains, and most
    tasks to train on are in other words, so that what a tool does must be read.
    """
    if family == GENERAL:
        _require("split", split, SPLITS)
        return _general_task(difficulty, rng, split)
    return draw_task(family_of(family), difficulty, rng, split)


def draw_task(kind: Family, difficulty: int, rng: random.Random, split: Split) -> Task:
    """A random task of a family of the suite, or of one like it that draws from less. Raises TaskError."""
    _require(f"difficulty of {kind.name}", difficulty, kind.difficulties)
    _require("split", split, SPLITS)
    # Logic families share one split: `reverse` must not practise what `program` holds out.
    scope = kind.domain if kind.domain == "logic" else kind.name
    while True:
        data = kind.draw(difficulty, rng)
        if split_of(scope, kind.key(data)) == split:
            return _task(kind, difficulty, split, data)


def _general_task(difficulty: int, rng: random.Random, split: Split) -> Task:
    general = importlib.import_module(_WORLDS[GENERAL][0])
    domains = general.TRAIN_DOMAINS if split == "train" else general.HELDOUT_DOMAINS
    task = general.sample_general_task(rng.choice(domains), difficulty, rng)
    if split == "train" and rng.random() < REWORDED:
        task = general.randomize_vocabulary(task, rng)
    return general.inline_tools(task)


def _task(kind: Family, difficulty: int, split: Split, data: dict[str, Any]) -> Task:
    question = kind.question(data)
    user: Message = {"role": "user", "content": question}
    values = (",".join(map(str, v)) if isinstance(v, list) else str(v) for v in data.values())
    return Task(
        id="-".join((kind.name, str(difficulty), *values)),
        domain=kind.domain,
        family=kind.name,
        difficulty=difficulty,
        split=split,
        messages=(SYSTEM_MESSAGE, user) if kind.uses_tools else (user,),
        answer=kind.answer(data),
        data=data,
    )


def environment_for(task: Task, assets: Path | None = None) -> Environment:
    """A fresh world for one episode of `task`. assets: the folder of what its synthesis put aside, if it needs that.

    Raises TaskError, and what the kind's world raises when its means are missing.
    """
    if task.domain not in _WORLDS:
        return ToolWorld(task)
    module, name = _WORLDS[task.domain]
    # Not imported before it is needed: these kinds bring libraries and programs that the suite does without.
    return getattr(importlib.import_module(module), name)(task, assets)


def demonstrate(task: Task, style: Style) -> list[Message]:
    """Assistant and tool messages of a whole episode, as a teacher of that style would write it.

    "full" writes every step, "short" only results and calls no tools, "direct" is chat mode: no reasoning.
    All are right but "short" of `lookup` and of general tasks, where nothing better than a guess is possible. Raises
    TaskError.
    """
    _require("style", style, STYLES)
    if task.domain == GENERAL:
        return importlib.import_module(_WORLDS[GENERAL][0]).demonstrate(task, style=style)
    return family_of(task.family).demonstrate(task.data, style)


def scripted_solution(task: Task, assets: Path | None = None) -> list[Message]:
    """The messages of an episode that solves `task`, assistant and tool messages after its question.

    Of the suite's families it is their full demonstration. Another kind has one where its module offers
    `demonstrate(task, assets)`; tool messages are left out where only running the tools tells them. Raises TaskError
    for one that does not.
    """
    if task.domain not in _WORLDS:
        return demonstrate(task, "full")
    module = importlib.import_module(_WORLDS[task.domain][0])
    if not hasattr(module, "demonstrate"):
        raise TaskError(f"tasks of domain {task.domain!r} have no scripted solution")
    return module.demonstrate(task, assets)


def near_miss(task: Task) -> str:
    """A wrong answer that a careless solver would give."""
    return family_of(task.family).near_miss(task.data)


def plain_text(task: Task, style: Style) -> str:
    """The demonstration as a document for pre-training, one line per thought, call, result and answer."""
    lines = [f"Question: {task.question}"]
    for message in demonstrate(task, style):
        if message["role"] == "tool":
            lines.append(f"Result: {message['content']}")
            continue
        if "reasoning_content" in message:
            lines.append(f"Thought: {message['reasoning_content']}")
        lines.extend(_call_line(call["function"]) for call in message.get("tool_calls", ()))
        if not message.get("tool_calls"):
            lines.append(f"Answer: {message['content']}")
    return "\n".join(lines) + "\n"


def _call_line(function: dict[str, str]) -> str:
    return " ".join(["Call:", function["name"], *json.loads(function["arguments"]).values()])


def _require(what: str, value: object, known: Collection[object]) -> None:
    if value not in known:
        raise TaskError(f"{what} is {value!r}; it must be one of {', '.join(map(str, known))}")
