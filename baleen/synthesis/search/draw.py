"""Questions by walks over the graph: from an entity few know, hop by hop to one that its description gives away.

The answer and every entity on the way stay unnamed; each is told by its kind, by blurred numbers, by its edges. Only
at the end of the walk, and of side branches, stand words of a description, without the names in it.
"""

import math
import random
import re
from collections.abc import Sequence
from dataclasses import replace

from baleen.environments.search.corpus import ASKABLE, is_run, tokens
from baleen.environments.search.task import FactLines
from baleen.synthesis.search.answerers import STOP_WORDS
from baleen.synthesis.search.form import Link, Unknown
from baleen.synthesis.search.graph import DOUBTFUL, Graph

DEEPEST = 8
"""Longest walk; beyond it few walks lead to one answer."""

MOST_LINKS = 6
LONGEST_TEXT = 400
_MOST_BESIDE = (
    60  # entities that share a hop: a walk over a country's hundreds of towns is no puzzle but a chore
)
_TRIES = 12
_PHRASE_WORDS = (3, 12)
_COMMON = 60  # a word in more descriptions than this tells nothing


def long_tail(graph: Graph) -> list[str]:
    """Entities with few edges and a short description, in a fixed order."""
    askable = graph.carrying(*ASKABLE)
    found = []
    for entity in sorted(askable):
        links = sum(relation not in DOUBTFUL for relation, _, _ in graph.edges[entity])
        if 1 <= links <= MOST_LINKS and len(graph.texts[entity]) <= LONGEST_TEXT:
            found.append(entity)
    if not found:  # whole documents are long: take the least linked of them
        ranked = sorted(askable, key=lambda e: (len(graph.edges[e]), e))
        found = [entity for entity in ranked if graph.edges[entity]]
    return found


class Drawer:
    """Draws questions from a graph. shown: which labels and numbers the pages of the corpus state."""

    def __init__(self, graph: Graph, shown: FactLines) -> None:
        self._graph = graph
        self._phrases: dict[str, list[str]] = {}
        self._shown_labels = shown.label_lines
        self._shown_numbers = shown.number_lines

    def draw(self, answer: str, depth: int, breadth: int, rng: random.Random) -> Unknown | None:
        """A question of `depth` hops with up to `breadth` conditions a hop beside the kind; None: there is no walk."""
        for _ in range(_TRIES):
            path = self._walk(answer, depth, rng)
            if path is not None:
                return self._question([answer, *(other for _, _, other in path)], path, breadth, rng)
        return None

    def _walk(self, start: str, depth: int, rng: random.Random) -> list[tuple[str, bool, str]] | None:
        path: list[tuple[str, bool, str]] = []
        seen, here = {start}, start
        for left in range(depth, 0, -1):
            edges = [edge for edge in self._open_edges(here) if edge[2] not in seen]
            if left == 1:
                edges = [edge for edge in edges if self.phrases(edge[2])]
            if not edges:
                return None
            # first which relation, then where to: else the one with most edges would be all there is
            kind = rng.choice(sorted({(relation, forward) for relation, forward, _ in edges}))
            edge = rng.choice([edge for edge in edges if edge[:2] == kind])
            path.append(edge)
            here = edge[2]
            seen.add(here)
        return path

    def _open_edges(self, entity: str) -> list[tuple[str, bool, str]]:
        return [
            edge
            for edge in self._graph.edges[entity]
            if edge[0] not in DOUBTFUL and len(self._graph.across(*edge)) <= _MOST_BESIDE
        ]

    def _question(
        self, entities: Sequence[str], path: Sequence[tuple[str, bool, str]], breadth: int, rng: random.Random
    ) -> Unknown:
        """The walk from its end: each unknown gets its kind, its link, and conditions up to `breadth`."""
        unknown = self._told_by_words(entities[-1], rng)
        for (relation, forward, _), entity in zip(reversed(path), reversed(entities[:-1]), strict=True):
            link = Link(relation, forward, unknown)
            unknown = Unknown(self._kind(entity, rng), links=(link,), witness=entity)
            unknown = self._broadened(unknown, set(entities), breadth, rng)
        return unknown

    def _broadened(self, unknown: Unknown, used: set[str], breadth: int, rng: random.Random) -> Unknown:
        """Add true conditions that narrow it down while it has fewer than `breadth` beside its kind."""
        options = self._conditions(unknown, used, rng)
        rng.shuffle(options)
        fitting = self._graph.fits(unknown)
        count = 1
        for option in options:
            if count >= breadth or len(fitting) == 1:
                break
            narrower = replace(
                unknown,
                labels=unknown.labels + option.labels,
                numbers=unknown.numbers + option.numbers,
                links=unknown.links + option.links,
            )
            still = self._graph.fits(narrower)
            if len(still) < len(fitting):
                unknown, fitting, count = narrower, still, count + 1
        return unknown

    def _conditions(self, unknown: Unknown, used: set[str], rng: random.Random) -> list[Unknown]:
        """Single conditions true of the witness, each as an unknown of its own."""
        entity = unknown.witness
        found = [
            Unknown(numbers=((name, *blurred(name, value, rng)),))
            for name, value in self._graph.numbers.get(entity, ())
            if name in self._shown_numbers
        ]
        taken = {label for label, _ in unknown.labels}
        found += [
            Unknown(labels=((label, value),))
            for label, value in self._graph.labels.get(entity, ())
            if label not in taken and label in self._shown_labels and value
        ]
        beside = [e for e in self._open_edges(entity) if e[2] not in used and self.phrases(e[2])]
        for relation, forward, other in rng.sample(beside, min(3, len(beside))):
            found.append(Unknown(links=(Link(relation, forward, self._told_by_words(other, rng)),)))
        return found

    def _kind(self, entity: str, rng: random.Random) -> tuple[tuple[str, str], ...]:
        kinds = [pair for pair in self._graph.labels.get(entity, ()) if pair[0] == "kind"]
        if not kinds:
            return ()
        # "a South" is no kind in a sentence, "an African country" is
        kinds = [pair for pair in kinds if " " in pair[1] or not pair[1][0].isupper()] or kinds
        # labels come sorted; the rarest kind is the nearest, a less telling one is taken now and then
        kinds.sort(key=lambda pair: (len(self._graph.carrying(*pair)), pair))
        return (kinds[1 if len(kinds) > 1 and rng.random() < 0.3 else 0],)

    def _told_by_words(self, entity: str, rng: random.Random) -> Unknown:
        phrases = self.phrases(entity)
        words = self._telling_words(entity)
        if len(words) >= 3 and rng.random() < 0.35:
            says = tuple(sorted(words[:4], key=lambda _: rng.random())[:3])
        else:
            says = (rng.choice(phrases),)
        return Unknown(self._kind(entity, rng), says=says, witness=entity)

    def phrases(self, entity: str) -> list[str]:
        """Parts of the description that tell which entity it is and do not hold its names, as they are spelt."""
        if entity not in self._phrases:
            self._phrases[entity] = self._find_phrases(entity)
        return self._phrases[entity]

    def _find_phrases(self, entity: str) -> list[str]:
        own = [tokens(name) for name in self._graph.names[entity]]
        own_words = {word for name in own for word in name if len(word) > 3}
        found = []
        for part in re.split(r"[;:()\n\"“”]|, | - |(?<=\w\w)\.(?=\s|$)", self._graph.texts[entity]):
            spelt = part.strip(" .,").split()[: _PHRASE_WORDS[1]]
            while spelt and spelt[-1].lower() in STOP_WORDS:
                spelt.pop()
            words = tokens(" ".join(spelt))
            if not _PHRASE_WORDS[0] <= len(words) <= _PHRASE_WORDS[1] + 3 or own_words & set(words):
                continue
            if any(is_run(name, words) for name in own):
                continue
            if len(self._graph.saying(" ".join(spelt))) <= 2:
                found.append(" ".join(spelt))
        return found

    def _telling_words(self, entity: str) -> list[str]:
        """The rarest words of the description that are no names, rarest first, among those others have too."""
        own = {word for name in self._graph.names[entity] for word in tokens(name)}
        words = {
            word
            for word in re.findall(r"\b[a-z]{4,}\b", self._graph.texts[entity])
            if word not in own and word not in STOP_WORDS and 1 < self._graph.frequency(word) <= _COMMON
        }
        return sorted(words, key=lambda word: (self._graph.frequency(word), word))


def blurred(attribute: str, value: float, rng: random.Random) -> tuple[float, float]:
    """A range around a value: a decade, half a century or a century of years, about a third up and down else."""
    if attribute in ("born", "died"):
        width = rng.choice((10, 50, 100))
        if value < 0:  # centuries before Christ end at their round year
            first = math.floor(value / 100) * 100
            return float(first), float(first + 99)
        first = math.floor(value / 10) * 10 if width == 10 else math.floor((value - 1) / width) * width + 1
        return float(first), float(first + width - 1)
    low, high = value * rng.uniform(0.6, 0.95), value * rng.uniform(1.05, 1.5)
    step = 10.0 ** max(0, math.floor(math.log10(max(high - low, 1))))
    return math.floor(low / step) * step, math.ceil(high / step) * step
