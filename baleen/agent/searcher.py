"""A scripted policy for hunts (`baleen.environments.toy.hunt`) that knows nothing but what its window shows.

It tries keys at random, leaving out those whose results it can see or finds in the notes of a summary. What is
discarded it forgets, and tries again in vain: so its steps and its success measure a strategy of context management.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from typing import Any

from baleen.agent.context import SUMMARY_REQUEST
from baleen.agent.model import Reply
from baleen.chat import Message
from baleen.environments.task import answer_message, call_message

_QUESTION = re.compile(r"Which key from (\d+) to (\d+) points to (\d+)\?")
_TRIED = re.compile(r"Tried in vain: ([\d ]*)")
_FOUND = re.compile(r"Found: (\d+)")


class Searcher:
    """A chat model for one episode. seed: of the order in which it tries keys; it keeps no other state."""

    name = "searcher"

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] = (),
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Reply:
        """The next look-up, the answer once a result shows it, or the summary that is asked for."""
        message = self._message(messages)
        reason = "tool_calls" if message.get("tool_calls") else "stop"
        return Reply(message, reason)

    def _message(self, messages: Sequence[Message]) -> Message:
        shown = "\n".join(str(m["content"]) for m in messages if m["role"] == "user")
        question = _QUESTION.search(shown)
        if question is None:
            return answer_message("")
        first, last, target = question.groups()
        tried = [key for notes in _TRIED.findall(shown) for key in notes.split()]
        found = _FOUND.findall(shown)
        for key, result in _look_ups(messages):
            tried.append(key)
            if result == target and int(first) <= int(key) <= int(last):
                found.append(key)
        if messages[-1]["content"] == SUMMARY_REQUEST:
            notes = f"Tried in vain: {' '.join(sorted(set(tried)))}"
            return answer_message(f"Found: {found[0]}" if found else notes)
        if found:
            return answer_message(found[0])
        left = sorted({str(key) for key in range(int(first), int(last) + 1)} - set(tried))
        if not left:
            return answer_message("")
        return call_message("lookup", {"key": self._rng.choice(left)})


def _look_ups(messages: Sequence[Message]) -> Iterator[tuple[str, str]]:
    """(key, result) of every call that can be seen with its result."""
    asked: list[str] = []
    for message in messages:
        if message["role"] == "tool" and asked:
            yield asked.pop(0), str(message["content"])
        for call in message.get("tool_calls") or ():
            asked.append(str(json.loads(call["function"]["arguments"])["key"]))
