"""A scripted searcher: it knows what a question asks for in structure, and takes every fact from tool results.

It goes from the clue to the answer, depth first: finds entities by the words of their description, then those linked
to them, opens each to check what is asked of it, goes on from the first that fits, and comes back when that leads
nowhere. It works from the messages alone: what it can still see it does not ask for again. What it settles and rules
out it writes into its thinking, so that notes or a summary carry it over a cleared context; else it starts again.
"""

import json
import random
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from baleen.agent.context import SUMMARY_REQUEST
from baleen.agent.model import Reply
from baleen.chat import Message
from baleen.environments import Task
from baleen.environments.search.task import SearchTask
from baleen.environments.search.world import MAX_RESULTS
from baleen.synthesis.search.form import Link, Unknown
from baleen.synthesis.search.reading import Page, Reader, hits_called, hits_naming, hits_of, pages_in

Call = tuple[str, str]  # name, arguments as JSON
Steps = Generator[list[Call], list[str], Any]
Then = Callable[[Page], Steps]
Look = tuple[Call, Callable[[str], list[str]]]  # a call, and which ids its result brings
_AT_ONCE = 8  # calls of one message
_CLUE_HITS = 20
_NAME_HITS = 10
_SETTLED = re.compile(r"^settled (\w+): (\S+)$", re.MULTILINE)
_OUT = re.compile(r"^not (\w+): (.*)$", re.MULTILINE)
_NAME = re.compile(
    r"[A-Z][^\W_]*(?:['’.-][^\W_]+)*(?:\s+(?:(?:of|the|de|la|and)\s+)*[A-Z][^\W_]*(?:['’.-][^\W_]+)*)*"
)


class Walker:
    """A chat model that solves one search task.

    It looks at what it finds in the order found, or in a random one; in a random one, too, after its context was
    cleared: the order before led nowhere. seed: of those orders, and with what it saw last all that it keeps.
    """

    name = "walker"

    def __init__(self, task: Task, seed: int = 0, in_order: bool = True) -> None:
        data = SearchTask.of(task)
        self._form = Unknown.from_json(data.form)
        self._reader = Reader(data.shown)
        self._rng = random.Random(seed)
        self._order = None if in_order else self._rng.random()
        self._seen: list[Message] = []

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] = (),
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Reply:
        """The next calls, the answer, or the summary that is asked for."""
        notes = _Notes(messages)
        if messages and messages[-1].get("content") == SUMMARY_REQUEST:
            return _reply("\n".join(notes.lines()) or "nothing settled yet")
        if list(messages[: len(self._seen)]) != self._seen:
            self._order = self._rng.random()
        self._seen = list(messages)
        results = _results(messages)
        steps = _Walk(self._reader, notes, self._order).find(self._form)
        try:
            wanted = next(steps)
            while True:
                missing = [call for call in wanted if call not in results]
                if missing:
                    return _calls(missing[:_AT_ONCE], notes.news)
                wanted = steps.send([results[call] for call in wanted])
        except StopIteration as end:
            return _reply(end.value.title if end.value else "I could not find it.", notes.news)


class _Notes:
    """What thinking and notes on the question say: for places in the form, a page that fits and those that do not.

    news: what this message adds to them.
    """

    def __init__(self, messages: Sequence[Message]) -> None:
        self.news: list[str] = []
        self.settled: dict[str, str] = {}
        self._out: dict[str, dict[str, None]] = {}
        for message in messages:
            for text in (message.get("reasoning_content"), message.get("content")):
                if message.get("role") != "tool" and isinstance(text, str):
                    self.settled |= dict(_SETTLED.findall(text))
                    for path, ids in _OUT.findall(text):
                        self._out.setdefault(path, {}).update(dict.fromkeys(ids.split()))

    def settle(self, path: str, page: Page) -> None:
        if self.settled.get(path) != page.id:
            self.settled[path] = page.id
            self.news.append(f"settled {path}: {page.id}")

    def rule_out(self, path: str, pages: Sequence[Page]) -> None:
        ids = [page.id for page in pages if not self.is_out(path, page.id)]
        if ids:
            self._out.setdefault(path, {}).update(dict.fromkeys(ids))
            self.news.append(f"not {path}: {' '.join(ids)}")

    def is_out(self, path: str, page_id: str) -> bool:
        return page_id in self._out.get(path, ())

    def lines(self) -> list[str]:
        """All of them, for a summary."""
        settled = [f"settled {path}: {page_id}" for path, page_id in self.settled.items()]
        return settled + [f"not {path}: {' '.join(ids)}" for path, ids in self._out.items()]


class _Walk:
    """One walk from the clues to the answer, depth first; a coroutine of batches of calls and their results.

    order: a number that draws the order in which candidates are looked at; None: as found.
    """

    def __init__(self, reader: Reader, notes: _Notes, order: float | None) -> None:
        self._reader = reader
        self._notes = notes
        self._rng = None if order is None else random.Random(order)

    def find(self, unknown: Unknown) -> Steps:
        """The first page found that fits `unknown`, or None."""
        return (yield from self._solve(unknown, "q", _at_once))

    def _solve(self, unknown: Unknown, path: str, then: Then) -> Steps:
        """Goes on with `then` from one page after another that fits `unknown`, until it finds what it looks for.

        path names the place of `unknown` in the form. Returns what `then` found, or None.
        """
        settled = self._notes.settled.get(path)
        if settled is not None and not self._notes.is_out(path, settled):
            for page in (yield from self._open([settled])):
                if (found := (yield from then(page))) is not None:
                    return found
        if unknown.says:
            look: list[Look] = [(_call("search", query=" ".join(unknown.says), k=_CLUE_HITS), hits_of)]
            return (yield from self._try(unknown, path, [look], unknown.links, then))
        link, place = unknown.links[0], f"{path}0"

        def from_first(first: Page) -> Steps:
            looks = self._looks(unknown, link, first)
            others = unknown.links[1:]
            fits = partial(self._reader.shows, link, other=first)
            if (found := (yield from self._try(unknown, path, looks, others, then, fits))) is None:
                self._notes.rule_out(place, [first])
            return found

        return (yield from self._solve(link.to, place, from_first))

    def _try(
        self,
        unknown: Unknown,
        path: str,
        looks: Iterable[list[Look]],
        links: Sequence[Link],
        then: Then,
        fits: Callable[[Page], bool] = lambda page: True,
    ) -> Steps:
        """Goes on from those of the pages that `looks` brings that fit. links: those that `fits` does not tell of."""
        tried: set[str] = set()
        for look in looks:
            results = yield [call for call, _ in look]
            ids = dict.fromkeys(i for (_, read), text in zip(look, results, strict=True) for i in read(text))
            candidates = [i for i in ids if i not in tried and not self._notes.is_out(path, i)]
            tried.update(candidates)
            if self._rng is not None:  # what ranks high still comes early
                ranks = {i: rank * self._rng.random() for rank, i in enumerate(candidates, 1)}
                candidates.sort(key=ranks.__getitem__)
            for k in range(0, len(candidates), _AT_ONCE):
                pages = yield from self._open(candidates[k : k + _AT_ONCE])
                lacking = [page for page in pages if self._reader.missing(unknown, page)]
                self._notes.rule_out(path, lacking)
                for page in pages:
                    if page in lacking or not fits(page):
                        continue
                    if not (yield from self._is_linked(unknown, links, page, path)):
                        continue
                    self._notes.settle(path, page)
                    if (found := (yield from then(page))) is not None:
                        return found
        return None

    def _is_linked(self, unknown: Unknown, links: Sequence[Link], page: Page, path: str) -> Steps:
        for link in links:

            def shown(other: Page, link: Link = link) -> Steps:
                return _at_once(other if self._reader.shows(link, page, other) else None)

            place = f"{path}{unknown.links.index(link)}"
            if (yield from self._solve(link.to, place, shown)) is None:
                return False
        return True

    def _looks(self, unknown: Unknown, link: Link, other: Page) -> Iterator[list[Look]]:
        """Ways to what may be linked to `other`, the narrow ones first: listed on its page, or found by its name."""
        if listing := self._reader.line_towards(link):
            yield [(_call("open", id=other.id), lambda _: other.linked(listing))]
        elif link.forward or not self._reader.is_told_in_prose(link):
            # the other's name stands on the pages that are sought, perhaps beside their kind
            beside = [f'"{name}" "{value}"' for name in other.names for _, value in unknown.labels]
            yield [(_call("search", query=query, k=_CLUE_HITS), hits_of) for query in beside]
            for k in (_NAME_HITS, MAX_RESULTS):
                yield [
                    (_call("search", query=f'"{name}"', k=k), partial(hits_naming, name=name))
                    for name in other.names
                ]
        else:
            # names in its description may be what is sought
            names = _NAME.findall(other.description)
            names += [word for name in names for word in name.split() if " " in name and word[0].isupper()]
            names = list(dict.fromkeys(names))
            for k in (_NAME_HITS, MAX_RESULTS):
                yield [
                    (_call("search", query=f'"{name}"', k=k), partial(_called_or_first, name=name))
                    for name in names
                ]
            parts = re.split(r"[.;:]\s", other.description)
            yield [(_call("search", query=part, k=_NAME_HITS), hits_of) for part in parts]

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


def _at_once(page: Page | None) -> Steps:
    """`page`, found without any call."""
    calls: list[list[Call]] = []
    while calls:  # never; what it says is that this is a coroutine as its callers want one
        yield calls.pop()
    return page


def _called_or_first(result: str, name: str) -> list[str]:
    return hits_called(result, name) or hits_of(result)[:_NAME_HITS]


def _reply(content: str, news: Sequence[str] = ()) -> Reply:
    message: Message = {"role": "assistant", "content": content, "reasoning_content": "\n".join(news)}
    return Reply(message, "stop")


def _calls(calls: Sequence[Call], news: Sequence[str]) -> Reply:
    tool_calls = [{"type": "function", "function": {"name": name, "arguments": text}} for name, text in calls]
    message: Message = {"role": "assistant", "content": "", "reasoning_content": "\n".join(news)}
    return Reply(message | {"tool_calls": tool_calls}, "tool_calls")
