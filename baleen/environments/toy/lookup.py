"""A store of keys that point to keys, and tasks of following the links."""

import hashlib
import random
import re
from collections.abc import Mapping
from typing import Any

from baleen.chat import Message
from baleen.environments.task import Domain, Style, answer_message, tool_episode

_KEY = re.compile(r"[1-9]\d\d", re.ASCII)


def next_key(salt: str, key: str) -> str | None:
    """The three-digit key that `key` points to in the store named by `salt`; None if there is no such key.

    The store is a hash function: it costs no memory, and nobody can have learnt a store with a new salt.
    """
    if not _KEY.fullmatch(key):
        return None
    digest = hashlib.blake2b(f"{salt}:{key}".encode(), digest_size=4).digest()
    return str(100 + int.from_bytes(digest, "big") % 900)


class Lookup:
    """ "Start at 417 and follow 2 links."; difficulty is the number of links, each found by one call.

    store: name of the store that every instance is drawn from; by default each instance has a new one.
    """

    name = "lookup"
    domain: Domain = "tool"
    difficulties = range(1, 4)
    uses_tools = True

    def __init__(self, store: str | None = None) -> None:
        self._store = store

    def draw(self, difficulty: int, rng: random.Random) -> dict[str, Any]:
        while True:
            salt = self._store or f"{rng.getrandbits(40):010x}"
            start = str(rng.randrange(100, 1000))
            path = _path(salt, start, difficulty)
            # Without this the start, or a stop on the way, could be right by luck.
            if len(set(path)) == len(path):
                return {"salt": salt, "start": start, "links": difficulty}

    def key(self, data: Mapping[str, Any]) -> str:
        # The store's name: a held-out store was never seen from any start.
        return str(data["salt"])

    def question(self, data: Mapping[str, Any]) -> str:
        links = data["links"]
        return f"Start at {data['start']} and follow {links} link{'s' if links > 1 else ''}."

    def answer(self, data: Mapping[str, Any]) -> str:
        return _path(data["salt"], data["start"], data["links"])[-1]

    def demonstrate(self, data: Mapping[str, Any], style: Style) -> list[Message]:
        start = data["start"]
        if style == "short":
            # Without a look-up nothing better than a guess is possible; checkers give it 0.
            return [answer_message(start, f": {start}")]
        path = _path(data["salt"], start, data["links"])
        steps = [("lookup", {"key": key}, key, found) for key, found in zip(path[:-1], path[1:], strict=True)]
        return tool_episode(steps, path[-1], style)

    def near_miss(self, data: Mapping[str, Any]) -> str:
        # One link too few.
        return _path(data["salt"], data["start"], data["links"])[-2]


def _path(salt: str, start: str, links: int) -> list[str]:
    path = [start]
    for _ in range(links):
        found = next_key(salt, path[-1])
        assert found is not None, f"{path[-1]} is not a key"
        path.append(found)
    return path
