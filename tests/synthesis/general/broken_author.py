"""A scripted chat model as the author: right, and broken in the ways that models are."""

import json
import threading
from collections.abc import Sequence
from typing import Any

from baleen.agent import ModelFailure, Reply
from baleen.chat import Message

DATABASE = (
    "CREATE TABLE cow (name TEXT PRIMARY KEY, barn TEXT, litres INTEGER);"
    "CREATE TABLE barn (name TEXT PRIMARY KEY, keeper TEXT, feed INTEGER);"
    "INSERT INTO cow VALUES ('Bella', 'east', 21), ('Dot', 'west', 33), ('Edda', 'east', 18), ('Fern', 'north', 27);"
    "INSERT INTO barn VALUES ('east', 'Tom', 40), ('west', 'Ann', 55), ('north', 'Lee', 62);"
)


def tool(name: str, **types: str) -> dict[str, Any]:
    properties = {key: {"type": kind} for key, kind in types.items()}
    parameters = {"type": "object", "properties": properties, "required": list(types)}
    return {"name": name, "description": name, "parameters": parameters}


CODE = """
def cow_barn(db, cow):
    row = db.execute("SELECT barn FROM cow WHERE name = ?", (cow,)).fetchone()
    if row is None:
        raise ValueError(f"no cow {cow}")
    return row["barn"]

def barn_keeper(db, barn):
    return db.execute("SELECT keeper FROM barn WHERE name = ?", (barn,)).fetchone()["keeper"]

def move(db, cow, barn):
    if db.execute("UPDATE cow SET barn = ? WHERE name = ?", (barn, cow)).rowcount == 0:
        raise ValueError(f"no cow {cow}")
    return "moved"
"""
TOOLS = [
    tool("cow_barn", cow="string"),
    tool("barn_keeper", barn="string"),
    tool("move", cow="string", barn="string"),
]
SQL_TOOLS = [
    {"name": "cow_barn", "description": "", "types": {"cow": "string"},
     "returns": "SELECT barn FROM cow WHERE name = :cow"},
    {"name": "barn_keeper", "description": "", "types": {"barn": "string"},
     "returns": "SELECT keeper FROM barn WHERE name = :barn"},
    {"name": "move", "description": "", "types": {"cow": "string", "barn": "string"},
     "checks": [["SELECT 1 FROM barn WHERE name = :barn", "no barn {barn}"]],
     "writes": ["UPDATE cow SET barn = :barn WHERE name = :cow"], "returns": "SELECT 'moved'"},
]  # fmt: skip
SAME = """
def rows(db):
    return [tuple(r) for t in ("cow", "barn") for r in db.execute(f"SELECT * FROM {t} ORDER BY name")]
"""
EASY = {
    "question": "Who keeps the barn where Dot stands?",
    "solution": 'def solution(tools):\n    return tools.barn_keeper(barn=tools.cow_barn(cow="Dot"))\n',
    "verification": SAME
    + "def verify(before, after, answer):\n    return rows(before) == rows(after) and answer.strip() == 'Ann'\n",
}
HARD = {
    "question": "Move Edda to the barn of Fern. Who keeps the barn she leaves?",
    "solution": (
        "def solution(tools):\n    old = tools.cow_barn(cow='Edda')\n"
        "    tools.move(cow='Edda', barn=tools.cow_barn(cow='Fern'))\n    return tools.barn_keeper(barn=old)\n"
    ),
    "verification": SAME
    + "def verify(before, after, answer):\n"
    + "    before.execute(\"UPDATE cow SET barn = 'north' WHERE name = 'Edda'\")\n"
    + "    return rows(before) == rows(after) and answer.strip() == 'Tom'\n",
}
FIRST = {"name": "dairy", "database": DATABASE, "tools": TOOLS, "code": CODE, "ignored": [], **EASY}

Step = Reply | Exception


def says(value: Any, finish: str = "stop") -> Reply:
    """A reply of 100 prompt and 10 completion tokens for a cent; an object is sent as JSON."""
    content = value if isinstance(value, str) else json.dumps(value)
    return Reply({"role": "assistant", "content": content}, finish, 100, 0, 10, 0.01)


class Author:
    """A chat model that takes one step of its script for each call, the last one from then on."""

    name = "stub"

    def __init__(self, *script: Step) -> None:
        self.script = list(script)
        self.asked: list[list[Message]] = []
        self._lock = threading.Lock()

    def complete(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]] = (), **_: Any) -> Reply:
        with self._lock:
            self.asked.append(list(messages))
            step = self.script[min(len(self.asked), len(self.script)) - 1]
        if isinstance(step, Exception):
            raise step
        return step


FAILS = ModelFailure("status 500, five times")


def changed(base: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {key: value for key, value in {**base, **fields}.items() if value is not None}
