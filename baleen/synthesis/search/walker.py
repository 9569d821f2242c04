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
_NOTE = re.compile(r"^(settled|perhaps|not) (\w+): ?(.*)$", re.MULTILINE)
_NAME = re.compile(
    r"[A-Z][^\W_]*(?:['’.-][^\W_]+)*(?:\s+(?:(?:of|the|de|la|and)\s+)*[A-Z][^\W_]*(?:['’.-][^\W_]+)*)*"
)


class Walker:
    """A chat model that solves one search task. seed: of the order in which it looks at what is listed without a rank.

    First it follows the first page that fits at every link of the question: whoever fits at the end is the answer, for
    questions have one. Where that comes to nothing it looks for all that fit.
    """

    name = "walker"

    def __init__(self, task: Task, seed: int = 0) -> None:
        self._form = Unknown.from_json(task.data["form"])
        self._reader = Reader(task.data["shown"])
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
        """The next calls, or the answer."""
        notes = _Notes(messages)
        if messages and messages[-1].get("content") == SUMMARY_REQUEST:
            return _reply("\n".join(notes.lines()) or "nothing settled yet")
        results = _results(messages)
        steps = _Walk(self._reader, notes, results, self._rng).answer(self._form)
        try:
            wanted = next(steps)
            while True:
                missing = [call for call in wanted if call not in results]
                if missing:
                    return _calls(missing[:_AT_ONCE], notes.news)
                wanted = steps.send([results[call] for call in wanted])
        except StopIteration as end:
            return _reply(end.value[0].title if end.value else "I could not find it.", notes.news)


class _Notes:
    """What thinking and notes on the question say: per place in the form the pages that fit, might, or do not."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.news: list[str] = []
        self._known: dict[tuple[str, str], list[str]] = {}
        for message in messages:
            for text in (message.get("reasoning_content"), message.get("content")):
                if message.get("role") != "tool" and isinstance(text, str):
                    for kind, path, ids in _NOTE.findall(text):
                        self._known.setdefault((kind, path), []).extend(ids.split())

    def get(self, kind: str, path: str) -> list[str] | None:
        """Ids, or None where nothing was noted."""
        return self._known.get((kind, path))

    def add(self, kind: str, path: str, ids: Sequence[str]) -> None:
        self._known.setdefault((kind, path), []).extend(ids)
        self.news.append(_line(kind, path, ids))

    def lines(self) -> list[str]:
        return [_line(kind, path, list(dict.fromkeys(ids))) for (kind, path), ids in self._known.items()]


class _Walk:
    """One walk from the clues to the answer; a coroutine of batches of calls and their results."""

    def __init__(
        self, reader: Reader, notes: _Notes, results: Mapping[Call, str], rng: random.Random
    ) -> None:
        self._reader = reader
        self._notes = notes
        self._results = results
        self._rng = rng

    def answer(self, form: Unknown) -> Steps:
        """The pages that fit the whole form."""
        found = yield from self._solve(form, "q", "perhaps")
        return found or (yield from self._solve(form, "q", "settled"))

    def _solve(self, unknown: Unknown, path: str, how: str) -> Steps:
        """Pages that fit `unknown`: how "settled": all, as far as they are found; "perhaps": some.

        path names its place in the form.
        """
        known = self._notes.get("settled", path) or self._notes.get(how, path)
        if known is not None:
            return (yield from self._open(known))
        others: list[list[Page]] = []
        if unknown.says:
            (found,) = yield [_call("search", query=" ".join(unknown.says), k=_CLUE_HITS)]
            candidates = hits_of(found)
        else:
            others.append((yield from self._solve(unknown.links[0].to, f"{path}0", how)))
            candidates = yield from self._linked(unknown, unknown.links[0], others[0], how)
            self._rng.shuffle(candidates)
            # what can be seen first: the order is another one at every call
            candidates.sort(key=lambda i: _call("open", id=i) not in self._results)
        out = set(self._notes.get("not", path) or ())
        candidates = [i for i in candidates if i not in out]
        fitting: list[Page] = []
        for start in range(0, len(candidates), _AT_ONCE):
            pages = yield from self._open(candidates[start : start + _AT_ONCE])
            good = [page for page in pages if not self._reader.missing(unknown, page)]
            if len(good) < len(pages):
                self._notes.add("not", path, [page.id for page in pages if page not in good])
            for i, link in enumerate(unknown.links if good else ()):
                if i >= len(others):
                    others.append((yield from self._solve(link.to, f"{path}{i}", how)))
                good = [p for p in good if any(self._reader.shows(link, p, other) for other in others[i])]
            fitting += good
            if fitting and how == "perhaps":
                break
        self._notes.add(how, path, [page.id for page in fitting])
        return fitting

    def _linked(self, unknown: Unknown, link: Link, others: Sequence[Page], how: str) -> Steps:
        """Ids of what may be linked to one of `others`: listed on its page, or found by its name."""
        listing = self._reader.line_towards(link)
        most = MOST_RESULTS if how == "settled" else _NAME_HITS
        ids: dict[str, None] = {}
        for other in others:
            if listing:
                ids |= dict.fromkeys(other.linked(listing))
            elif link.forward or not self._reader.is_told_in_prose(link):
                # the other's name stands on the pages that are sought
                found = yield [_call("search", query=f'"{name}"', k=most) for name in other.names]
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
                found = yield [_call("search", query=f'"{name}"', k=most) for name in names]
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


def _line(kind: str, path: str, ids: Sequence[str]) -> str:
    return f"{kind} {path}: {' '.join(ids)}"


def _reply(content: str, news: Sequence[str] = ()) -> Reply:
    message: Message = {"role": "assistant", "content": content, "reasoning_content": "\n".join(news)}
    return Reply(message, "stop")


def _calls(calls: Sequence[Call], news: Sequence[str]) -> Reply:
    tool_calls = [{"type": "function", "function": {"name": name, "arguments": text}} for name, text in calls]
    message: Message = {"role": "assistant", "content": "", "reasoning_content": "\n".join(news)}
    return Reply(message | {"tool_calls": tool_calls}, "tool_calls")
