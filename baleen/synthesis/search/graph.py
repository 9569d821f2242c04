"""The graph of a corpus in memory, and which entities fit a question: as it is worded, and read generously.

Read generously, any edge between two entities counts as the one asked for, a word in the description as the label,
any number of the entity as the one asked for, and scattered words as the phrase. The graph is incomplete and people
read loosely: a question with one answer even so is safe.
"""

import json
from bisect import bisect_left, bisect_right

from baleen.environments.search.corpus import Corpus, is_run, tokens
from baleen.environments.search.world import normalized
from baleen.synthesis.search.form import Link, Unknown

DOUBTFUL = ("may_mention", "alternative")
"""Relations that only a generous reading takes for true."""
_TRANSITIVE = ("part_of",)


class Graph:
    """Entities of a corpus with their edges, labels, numbers and words. Read-only, so safe for many threads."""

    def __init__(self, corpus: Corpus) -> None:
        self.names: dict[str, tuple[str, ...]] = {}
        self.texts: dict[str, str] = {}
        self.words: dict[str, list[str]] = {}
        self._having: dict[str, list[str]] = {}  # word -> entities whose description has it
        query = "SELECT entities.id, names, text FROM entities JOIN documents ON documents.id = entities.id"
        for entity, names, text in corpus.rows(query):
            self.names[entity] = tuple(json.loads(names))
            self.texts[entity] = text
            self.words[entity] = tokens(text)
            for word in dict.fromkeys(self.words[entity]):
                self._having.setdefault(word, []).append(entity)
        self.edges: dict[str, list[tuple[str, bool, str]]] = {entity: [] for entity in self.names}
        self._across: dict[tuple[str, bool, str], set[str]] = {}
        for subject, relation, object_ in corpus.rows("SELECT subject, relation, object FROM edges"):
            self.edges[subject].append((relation, True, object_))
            self.edges[object_].append((relation, False, subject))
            self._across.setdefault((relation, True, object_), set()).add(subject)
            self._across.setdefault((relation, False, subject), set()).add(object_)
        self.labels: dict[str, list[tuple[str, str]]] = {}
        self._labelled: dict[tuple[str, str], set[str]] = {}
        for subject, label, value in corpus.rows("SELECT subject, label, value FROM labels"):
            self.labels.setdefault(subject, []).append((label, value))
            self._labelled.setdefault((label, value), set()).add(subject)
        self.numbers: dict[str, list[tuple[str, float]]] = {}
        self._ordered: dict[str, list[tuple[float, str]]] = {}
        for subject, attribute, value in corpus.rows("SELECT subject, attribute, value FROM numbers"):
            self.numbers.setdefault(subject, []).append((attribute, value))
            self._ordered.setdefault(attribute, []).append((value, subject))
        for values in self._ordered.values():
            values.sort()
        self._called: dict[str, list[str]] = {}
        for entity, its_names in self.names.items():
            for name in its_names:
                self._called.setdefault(normalized(name), []).append(entity)

    def called(self, name: str) -> list[str]:
        """Entities of this name, up to case, articles and punctuation."""
        return self._called.get(normalized(name), [])

    def across(self, relation: str, forward: bool, other: str) -> set[str]:
        """Entities with an edge of this relation to (forward) or from `other`."""
        return self._across.get((relation, forward, other), set())

    def carrying(self, label: str, value: str) -> set[str]:
        return self._labelled.get((label, value), set())

    def frequency(self, word: str) -> int:
        """How many entities' descriptions have the word."""
        return len(self._having.get(word, ()))

    def saying(self, phrase: str, generous: bool = False) -> set[str]:
        """Entities whose description has the words of the phrase one after another; generous: anywhere."""
        wanted = tokens(phrase)
        rarest = min(wanted, key=self.frequency, default="")
        found = self._having.get(rarest, ())
        if generous:
            return {entity for entity in found if set(wanted).issubset(self.words[entity])}
        return {entity for entity in found if is_run(wanted, self.words[entity])}

    def fits(self, unknown: Unknown, generous: bool = False) -> set[str]:
        """All entities of the whole graph that fit."""
        sets = [self._linked(link, generous) for link in unknown.links]
        sets += [self.saying(phrase, generous) for phrase in unknown.says]
        if not generous:
            sets += [self.carrying(*pair) for pair in unknown.labels]
        if not sets:
            sets = [set(self.names)]
        sets.sort(key=len)
        fitting = set.intersection(*sets)
        if generous:
            fitting = {e for e in fitting if all(self._might_carry(e, *pair) for pair in unknown.labels)}
        for attribute, low, high in unknown.numbers:
            if not generous:
                fitting &= self._between(attribute, low, high)
            else:
                fitting = {e for e in fitting if any(low <= v <= high for _, v in self.numbers.get(e, ()))}
        return fitting

    def _linked(self, link: Link, generous: bool) -> set[str]:
        found: set[str] = set()
        for other in self.fits(link.to, generous):
            if not generous:
                found |= self.across(link.relation, link.forward, other)
                continue
            found.update(neighbour for _, _, neighbour in self.edges[other])
            if link.relation in _TRANSITIVE:
                found |= self._reached(link, other)
        return found

    def _reached(self, link: Link, start: str) -> set[str]:
        reached: set[str] = set()
        level = {start}
        while level:
            level = set().union(*(self.across(link.relation, link.forward, e) for e in level)) - reached
            reached |= level
        return reached

    def _might_carry(self, entity: str, label: str, value: str) -> bool:
        return entity in self.carrying(label, value) or is_run(tokens(value), self.words[entity])

    def _between(self, attribute: str, low: float, high: float) -> set[str]:
        ordered = self._ordered.get(attribute, [])
        first = bisect_left(ordered, (low, ""))
        return {entity for _, entity in ordered[first : bisect_right(ordered, (high, "\U0010ffff"))]}
