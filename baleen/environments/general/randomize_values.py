"""Tasks about other things: the names in the database are replaced, so that a policy has to copy what it reads."""

import json
import random
import re
from dataclasses import replace
from typing import Any

from baleen.environments.general.task import GeneralTask
from baleen.environments.general.tools import as_text, open_tools
from baleen.environments.general.verification import Outcome, same_changes
from baleen.environments.general.words import COMMON
from baleen.environments.task import Task
from baleen.environments.toolbox import ToolError

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_SYLLABLE = (  # its onsets, its vowels, its codas
    "b bl br c ch cl cr d dr f fl fr g gl gr h j k l m n p pl pr qu r s sh sl sp st str t th tr v w z",
    "a e i o u ai ea ee oa oo ou",
    "b ck d f g l ll m mp n nd ng nt p r rd rk rt s sh ss st t x",
)
_ENDINGS = ("", "", "a", "o", "er", "et", "le", "on", "y")
_COMMON_SHARE = 0.3  # of the new names are common words instead of made-up ones


def randomize_values(task: Task, rng: random.Random) -> Task:
    """Give the things in a task's database made-up names.

    Numbers stay, and so do words that tools, solution or schema mention. Question, database, calls, changes and answer
    still agree.

    Args:
        task: a general task whose tools are data.
        rng: the source of all randomness.

    Returns:
        The new task, or `task` itself if the new names would change what happens, as where an order by name decides.
    """
    data = GeneralTask.of(task)
    environment = data.environment
    mentioned = json.dumps(environment.tools) + data.solution
    tables, _, rows = environment.database.partition("INSERT")
    kept = set(_WORD.findall(f"{tables} {mentioned}"))
    values = re.findall(r"'((?:[^']|'')*)'", rows)
    old = sorted({word for value in values for word in _WORD.findall(value)} - kept)
    new: dict[str, str] = {}
    for word in old:
        while (other := _similar(word, rng)) in {*kept, *old, *new.values()}:
            pass
        new[word] = other

    def renamed(value: Any) -> Any:
        if isinstance(value, str):
            return _WORD.sub(lambda match: new.get(match[0], match[0]), value)
        if isinstance(value, dict):
            return {key: renamed(item) for key, item in value.items()}
        return [renamed(item) for item in value] if isinstance(value, list | tuple) else value

    new_data = replace(
        data,
        environment=replace(environment, database=tables + renamed(f"INSERT{rows}")),
        parameters=renamed(data.parameters),
        calls=tuple(
            call._replace(arguments=renamed(call.arguments), result=renamed(call.result))
            for call in data.calls
        ),
        changes=renamed(data.changes),
    )
    if not _is_consistent(new_data):
        return task
    messages = [{**message, "content": renamed(message["content"])} for message in task.messages]
    return replace(task, messages=tuple(messages), answer=renamed(task.answer), data=new_data.to_data())


def _similar(word: str, rng: random.Random) -> str:
    """A name of the same form: with digits, capitalized, or neither."""
    if any(letter.isdigit() for letter in word):
        letters = "".join(rng.choices("ABCDEFGHJKLMNPRSTUVWXYZ", k=2))
        return f"{letters}{rng.randrange(10, 100)}"
    made_up = "".join(rng.choice(part.split()) for part in _SYLLABLE) + rng.choice(_ENDINGS)
    name = rng.choice(COMMON) if rng.random() < _COMMON_SHARE else made_up
    return name.capitalize() if word[0].isupper() else name


def _is_consistent(data: GeneralTask) -> bool:
    """Whether the calls return and change what `data` says."""
    tools = open_tools(data.environment)
    try:
        before = tools.database()
        if any(as_text(tools.call(call.name, call.arguments)) != call.result for call in data.calls):
            return False
        outcome = Outcome(tools.database(), answer="")
    except ToolError:
        return False
    finally:
        tools.close()
    return same_changes(before, outcome, data.changes, data.environment.ignored)
