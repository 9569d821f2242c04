"""A scripted searcher: it knows what a question asks for in structure, and takes every fact from tool results.

It goes from the clue to the answer: finds entities by the words of their description, then those linked to them, and
opens each to check what is asked of it. It works from the messages alone: what it can still see it does not ask for
again. What it has settled it writes into its thinking, so that notes or a summary carry it over a cleared context.
"""

import json
import random
import re
from collections.abc import Generator, Mapping, Sequence
from typing import Any

from baleen.agent.context import SUMMARY_REQUEST
from baleen.agent.model import Reply
from baleen.chat import Message
from baleen.environments import Task
from baleen.environments.search import MOST_RESULTS
from baleen.synthesis.search.form import Link, Unknown
from baleen.synthesis.search.reading import Page, Reader, hits_called, hits_naming, hits_of, pages_in

Call = tuple[str, str]  # name, arguments as JSON
Steps = Generator[list[Call], list[str], Any]
_AT_ONCE = 8  # calls of one message
_CLUE_HITS = 20
_NAME_HITS = 10
_SETTLED = re.compile(r"settled (\w+): (.*)$", re.MULTILINE)
_NAME = re.compile(
    r"[A-Z][^\W_]*(?:['’.-][^\W_]+)*(?:\s+(?:(?:of|the|de|la|and)\s+)*[A-Z][^\W_]*(?:['’.-][^\W_]+)*)*"
)


class Walker:
    """A chat model that solves one search task. seed: in which order it looks at what it finds; None: as found."""

    name = "walker"

    def __init__(self, task: Task, seed: int | None = None) -> None:
        self._form = Unknown.from_json(task.data["form"])
        self._reader = Reader(task.data["shown"])
        self._seed = seed

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] = (),
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Reply:
        """The next calls, or the answer."""
        settled = _settled(messages)
        if messages and messages[-1].get("content") == SUMMARY_REQUEST:
            return _reply(
                "\n".join(_line(path, ids) for path, ids in settled.items()) or "nothing settled yet"
            )
        results = _results(messages)
        walk = _Walk(self._reader, settled, self._seed if seed is None else seed)
        steps = walk.solve(self._form, "q")
        pages: list[Page] = []
        try:
            wanted = next(steps)
            while True:
                missing = [call for call in wanted if call not in results]
                if missing:
                    return _calls(missing[:_AT_ONCE], walk.news)
                wanted = steps.send([results[call] for call in wanted])
        except StopIteration as end:
            pages = end.value
        return _reply(pages[0].title if pages else "I could not find it.", walk.news)


class _Walk:
    """One walk from the clues to the answer; a coroutine of batches of calls and their results."""

    def __init__(self, reader: Reader, settled: Mapping[str, list[str]], seed: int | None) -> None:
        self.news: list[str] = []
        self._reader = reader
        self._settled = settled
        self._rng = None if seed is None else random.Random(seed)

    def solve(self, unknown: Unknown, path: str) -> Steps:
        """All pages that fit `unknown`, as far as they were found. path names its place in the form."""
        if path in self._settled:
            return (yield from self._open(self._settled[path]))
        others: list[list[Page]] = []
        if unknown.says:
            (found,) = yield [_call("search", query=" ".join(unknown.says), k=_CLUE_HITS)]
            candidates = hits_of(found)
        else:
            first = yield from self.solve(unknown.links[0].to, f"{path}0")
            others.append(first)
            candidates = yield from self._linked(unknown, unknown.links[0], first)
        if self._rng is not None:
            self._rng.shuffle(candidates)
        pages = yield from self._open(candidates)
        fitting = [page for page in pages if not self._reader.missing(unknown, page)]
        for i, link in enumerate(unknown.links):
            if i >= len(others):
                others.append((yield from self.solve(link.to, f"{path}{i}")))
            fitting = [p for p in fitting if any(self._reader.shows(link, p, other) for other in others[i])]
        self.news.append(_line(path, [page.id for page in fitting]))
        return fitting

    def _linked(self, unknown: Unknown, link: Link, others: Sequence[Page]) -> Steps:
        """Ids of what may be linked to one of `others`: listed on its page, or found by its name."""
        listing = self._reader.line_towards(link)
        ids: dict[str, None] = {}
        for other in others:
            if listing:
                ids |= dict.fromkeys(other.linked(listing))
            elif link.forward or not self._reader.is_told_in_prose(link):
                # the other's name stands on the pages that are sought
                found = yield [_call("search", query=f'"{name}"', k=MOST_RESULTS) for name in other.names]
                for name, result in zip(other.names, found, strict=True):
                    ids |= dict.fromkeys(hits_naming(result, name))
                # beside its kind, for names that more pages have than one search shows
                beside = [f'"{name}" "{value}"' for name in other.names for _, value in unknown.labels]
                found = yield [_call("search", query=query, k=_CLUE_HITS) for query in beside]
                ids |= dict.fromkeys(hit for result in found for hit in hits_of(result))
            else:
                # names in its description may be what is sought
                names = _NAME.findall(other.description)
                names += [
                    word for name in names for word in name.split() if " " in name and word[0].isupper()
                ]
                names = list(dict.fromkeys(names))
                found = yield [_call("search", query=f'"{name}"', k=MOST_RESULTS) for name in names]
                for name, result in zip(names, found, strict=True):
                    ids |= dict.fromkeys(hits_called(result, name) or hits_of(result)[:_NAME_HITS])
                parts = re.split(r"[.;:]\s", other.description)
                found = yield [_call("search", query=part, k=_NAME_HITS) for part in parts]
                ids |= dict.fromkeys(hit for result in found for hit in hits_of(result))
        return list(ids)

    def _open(self, ids: Sequence[str]) -> Steps:
        firsts = yield [_call("open", id=i) for i in ids]
        pages = []
        for i, first in zip(ids, firsts, strict=True):
            count = pages_in(first)
            rest = (yield [_call("open", id=i, page=n) for n in range(2, count + 1)]) if count > 1 else []
            if count:
                pages.append(self._reader.page([first, *rest]))
        return pages


def _call(name: str, **arguments: Any) -> Call:
    return name, json.dumps(arguments)


def _results(messages: Sequence[Message]) -> dict[Call, str]:
    """What was asked and answered, as far as the messages still show it."""
    results: dict[Call, str] = {}
    waiting: list[Call] = []
    for message in messages:
        if message.get("tool_calls"):
            functions = [call["function"] for call in message["tool_calls"]]
            waiting = [(function["name"], function["arguments"]) for function in functions]
        elif message.get("role") == "tool" and waiting:
            results[waiting.pop(0)] = str(message["content"])
    return results


def _settled(messages: Sequence[Message]) -> dict[str, list[str]]:
    """What is noted as settled, in thinking and in notes on the question."""
    found: dict[str, list[str]] = {}
    for message in messages:
        for text in (message.get("reasoning_content"), message.get("content")):
            if message.get("role") != "tool" and isinstance(text, str):
                found |= {path: ids.split(" ") if ids else [] for path, ids in _SETTLED.findall(text)}
    return found


def _line(path: str, ids: Sequence[str]) -> str:
    return f"settled {path}: {' '.join(ids)}"


def _reply(content: str, news: Sequence[str] = ()) -> Reply:
    message: Message = {"role": "assistant", "content": content, "reasoning_content": "\n".join(news)}
    return Reply(message, "stop")


def _calls(calls: Sequence[Call], news: Sequence[str]) -> Reply:
    tool_calls = [{"type": "function", "function": {"name": name, "arguments": text}} for name, text in calls]
    message: Message = {"role": "assistant", "content": "", "reasoning_content": "\n".join(news)}
    return Reply(message | {"tool_calls": tool_calls}, "tool_calls")
