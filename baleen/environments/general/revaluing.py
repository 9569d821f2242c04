"""Tasks about other things: the names in the database become others, so that a policy must copy what it reads."""

import json
import random
import re
from dataclasses import replace
from typing import Any

from baleen.environments.general.tools import as_text
from baleen.environments.general.verification import Outcome, same_changes
from baleen.environments.general.words import COMMON
from baleen.environments.general.world import open_tools
from baleen.environments.task import Task
from baleen.environments.toolbox import ToolError

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_SYLLABLE = (  # its beginnings, its vowels, its ends
    "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sl sp st str t th tr v w z",
    "a e i o u ai ea ee oa oo ou",
    "b ck d f g l ll m mp n nd ng nt p r rd rk rt s sh ss st t x",
)
_ENDINGS = ("", "", "a", "o", "er", "et", "le", "on", "y")


def revalue(task: Task, rng: random.Random) -> Task:
    """The same task with made-up names for the things in its database; `task` itself where that changes what happens.

    Numbers stay, and words that tools, solution or schema speak of. Question, database, calls, changes and answer
    agree. Something else happens where an order by name decides. Only for tools that are data.
    """
    environment = task.data["environment"]
    spoken = json.dumps(environment["tools"]) + task.data["solution"]
    tables, _, rows = environment["database"].partition("INSERT")
    kept = set(_WORD.findall(f"{tables} {spoken}"))
    values = re.findall(r"'((?:[^']|'')*)'", rows)
    old = sorted({word for value in values for word in _WORD.findall(value)} - kept)
    new: dict[str, str] = {}
    for word in old:
        while (other := _like(word, rng)) in {*kept, *old, *new.values()}:
            pass
        new[word] = other

    def mapped(value: Any) -> Any:
        if isinstance(value, str):
            return _WORD.sub(lambda match: new.get(match[0], match[0]), value)
        if isinstance(value, dict):
            return {key: mapped(one) for key, one in value.items()}
        return [mapped(one) for one in value] if isinstance(value, list | tuple) else value

    data = {
        **task.data,
        "environment": {**environment, "database": tables + mapped(f"INSERT{rows}")},
        **{key: mapped(task.data[key]) for key in ("parameters", "calls", "changes")},
    }
    asked = [{**message, "content": mapped(message["content"])} for message in task.messages]
    answer = mapped(task.answer)
    other = replace(task, messages=tuple(asked), answer=answer, data=data)
    return other if _happens(data) else task


def _like(word: str, rng: random.Random) -> str:
    """A name of the same kind: with digits, with a capital, or neither."""
    if any(letter.isdigit() for letter in word):
        letters = "".join(rng.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=2))
        return f"{letters}{rng.randrange(10, 100)}"
    made_up = "".join(rng.choice(part.split()) for part in _SYLLABLE) + rng.choice(_ENDINGS)
    name = rng.choice(COMMON) if rng.random() < 0.3 else made_up
    return name.capitalize() if word[0].isupper() else name


def _happens(data: dict[str, Any]) -> bool:
    """Whether the calls give what `data` says that they give, and change what it says that they change."""
    environment = data["environment"]
    tools = open_tools(environment)
    try:
        before = tools.database()
        if any(as_text(tools.call(name, arguments)) != result for name, arguments, result in data["calls"]):
            return False
        outcome = Outcome(tools.database(), answer="")
    except ToolError:
        return False
    finally:
        tools.close()
    return same_changes(before, outcome, data["changes"], environment["ignored"])
