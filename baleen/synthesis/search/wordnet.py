"""WordNet as a corpus: a page per synset, and a graph of its named instances (cities, poets, battles, gods).

Reads the database files of WordNet 3.0 (`data.noun` and its siblings; format: wndb(5WN)), which Debian has as the
package `wordnet-base`.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baleen.config.errors import UserError
from baleen.environments.search.corpus import ASKABLE, Document, Entity, write_corpus
from baleen.synthesis.search.mentions import NameFinder

DEFAULT_FOLDER = Path("/usr/share/wordnet")
# pointer symbol -> (relation, whether the pointer's target is the relation's subject)
_RELATIONS = {
    "#p": ("part_of", False),
    "%p": ("part_of", True),
    "#m": ("member_of", False),
    "%m": ("member_of", True),
    ";r": ("region", False),
    "-r": ("region", True),
}
ABOUT: dict[str, Any] = {
    "corpus": "wordnet",
    "source": "WordNet 3.0, Princeton University (Debian package wordnet-base)",
    "licence": "WordNet 3.0 licence: free use, copying and modification, with the copyright notice kept",
    "noun": "entry",
    # relation -> names of its line on the subject's page and on the object's; "" where only prose tells
    "lines": {
        "part_of": ["Part of", "Has part"],
        "member_of": ["Member of", "Has member"],
        "region": ["Region", "Region of"],
        "mentions": ["", ""],
    },
    "label_lines": {"kind": "Kind"},
    "number_lines": {"born": "Born", "died": "Died"},
}
_KIND_LEVELS = 3  # a city is a municipality is a region; higher up everything is an entity
# classes that tell nothing, named only where there is no other
_ABSTRACT = frozenset(
    ("entity", "physical entity", "abstraction", "thing", "object", "whole", "matter", "causal agent", "part")
    + ("living thing", "organism", "attribute", "relation", "psychological feature", "group", "substance")
)
_YEARS = re.compile(r"\((?:[^()]*?[ ,;])?(\d{3,4})-(\d{1,4})( BC)?\)")
_BORN = re.compile(r"born (?:in )?(\d{4})\b")
_ANY_YEAR = re.compile(r"\b\d{3,4}\b")


@dataclass(frozen=True)
class Synset:
    """One line of a data file. pointers: (symbol, id of the target)."""

    id: str
    words: tuple[str, ...]
    pointers: tuple[tuple[str, str], ...]
    gloss: str


def read_synsets(folder: Path) -> dict[str, Synset]:
    """All synsets by id: part of speech and offset. Raises UserError, OSError."""
    if not (folder / "data.noun").is_file():
        raise UserError(
            f"{folder} has no data.noun; install WordNet's files (apt-get install wordnet-base) or give their folder"
        )
    synsets = {}
    for name in ("data.noun", "data.verb", "data.adj", "data.adv"):
        if (folder / name).is_file():
            for line in (folder / name).read_text(encoding="utf-8").splitlines():
                if not line.startswith("  "):  # the licence stands first, indented
                    synset = parse_line(line)
                    synsets[synset.id] = synset
    return synsets


def parse_line(line: str) -> Synset:
    """A synset of one line of a data file."""
    head, _, gloss = line.partition("|")
    fields = head.split()
    count = int(fields[3], 16)
    words = tuple(word_of(fields[4 + 2 * i]) for i in range(count))
    at = 4 + 2 * count
    pointers = []
    for i in range(int(fields[at])):
        symbol, offset, part = fields[at + 1 + 4 * i : at + 4 + 4 * i]
        pointers.append((symbol, _id(part, offset)))
    return Synset(_id(fields[2], fields[0]), words, tuple(dict.fromkeys(pointers)), gloss.strip())


def build(folder: Path, path: Path) -> None:
    """Write the corpus of the WordNet files in `folder`. Raises UserError, OSError."""
    synsets = read_synsets(folder)
    named = {s.id for s in synsets.values() if any(symbol == "@i" for symbol, _ in s.pointers)}
    # what instances are part or member of belongs to the graph, whether it has a proper name or not
    linked = {
        to for i in named for symbol, to in synsets[i].pointers if symbol in _RELATIONS and to in synsets
    }
    entities = {i: _entity(synsets[i], synsets) for i in sorted(named | linked)}
    names = {i: entities[i].names for i in sorted(named)}
    senses = Counter(word for synset in synsets.values() for word in dict.fromkeys(synset.words))
    finder = NameFinder(names, {word for word, count in senses.items() if count > 1})
    full = [_with_mentions(entity, synsets[i].gloss, finder) for i, entity in entities.items()]
    known = set(entities)
    kept = [_with_known_edges(entity, known) for entity in full]
    write_corpus(path, ABOUT, _documents(synsets, entities), kept)


def word_of(field: str) -> str:
    """A word as people write it, without the marks of the file format."""
    return re.sub(r"\((?:a|p|ip)\)$", "", field).replace("_", " ")


def kinds_of(synset: Synset, synsets: dict[str, Synset]) -> list[str]:
    """Names of its classes and of theirs, the nearest first."""
    level = [to for symbol, to in synset.pointers if symbol in ("@i", "@")]
    names: dict[str, None] = {}
    for _ in range(_KIND_LEVELS):
        words = [synsets[i].words[0] for i in level if i in synsets]
        names |= dict.fromkeys(word for word in words if word not in _ABSTRACT or not names)
        level = [to for i in level if i in synsets for symbol, to in synsets[i].pointers if symbol == "@"]
    return list(names)


def years_of(gloss: str) -> dict[str, float]:
    """Years of birth and death that a gloss gives as "(1749-1832)", "(384-322 BC)" or "(born in 1943)"."""
    lived = _YEARS.search(gloss)
    if lived is not None:
        first, last, before = lived.groups()
        if before:
            return {"born": -float(first), "died": -float(last)}
        if len(last) < len(first):  # "(1861-65)"
            last = first[: len(first) - len(last)] + last
        return {"born": float(first), "died": float(last)} if float(first) <= float(last) else {}
    born = _BORN.search(gloss)
    return {"born": float(born.group(1))} if born else {}


def _entity(synset: Synset, synsets: dict[str, Synset]) -> Entity:
    kinds = kinds_of(synset, synsets)
    is_named = any(symbol == "@i" for symbol, _ in synset.pointers)
    # years in parentheses are of a life only where a person is described
    years = years_of(synset.gloss) if "person" in _all_kinds(synset, synsets) else {}
    loose = [("number", float(y)) for y in _ANY_YEAR.findall(synset.gloss)]
    edges = []
    for symbol, to in synset.pointers:
        relation, reverse = _RELATIONS.get(symbol, ("", False))
        if relation and not reverse:
            edges.append((relation, to))
    return Entity(
        id=synset.id,
        names=tuple(word for word in synset.words if not word.startswith("capital of")) or synset.words,
        labels=(*(("kind", kind) for kind in kinds), *([ASKABLE] if is_named else [])),
        numbers=(*years.items(), *loose),
        edges=tuple(edges),
    )


def _all_kinds(synset: Synset, synsets: dict[str, Synset]) -> set[str]:
    seen: set[str] = set()
    level = [synset.id]
    while level:
        level = [
            to
            for i in level
            if i in synsets
            for symbol, to in synsets[i].pointers
            if symbol in ("@i", "@") and to not in seen
        ]
        seen.update(level)
    return {synsets[i].words[0] for i in seen if i in synsets}


def _with_mentions(entity: Entity, gloss: str, finder: NameFinder) -> Entity:
    certain, doubtful = finder.find(gloss)
    certain.discard(entity.id)
    doubtful.discard(entity.id)
    edges = [("mentions", i) for i in sorted(certain)] + [("may_mention", i) for i in sorted(doubtful)]
    return Entity(entity.id, entity.names, entity.labels, entity.numbers, (*entity.edges, *edges))


def _with_known_edges(entity: Entity, known: set[str]) -> Entity:
    edges = tuple(edge for edge in entity.edges if edge[1] in known)
    return Entity(entity.id, entity.names, entity.labels, entity.numbers, edges)


def _documents(synsets: dict[str, Synset], entities: dict[str, Entity]) -> Iterator[Document]:
    for synset in synsets.values():
        facts = [f"Also called: {word}" for word in synset.words[1:]]
        facts += [f"Kind: {kind}" for kind in kinds_of(synset, synsets)]
        if synset.id in entities:
            lines: dict[str, str] = ABOUT["number_lines"]
            numbers = entities[synset.id].numbers
            facts += [f"{lines[name]}: {_year(value)}" for name, value in numbers if name in lines]
        for symbol, to in synset.pointers:
            if symbol in _RELATIONS and to in synsets:
                relation, reverse = _RELATIONS[symbol]
                facts.append(f"{ABOUT['lines'][relation][reverse]}: {synsets[to].words[0]} [{to}]")
        yield Document(synset.id, synset.words[0], synset.gloss, "\n".join(facts))


def _year(value: float) -> str:
    return f"{-value:.0f} BC" if value < 0 else f"{value:.0f}"


def _id(part: str, offset: str) -> str:
    return f"{'a' if part == 's' else part}{offset}"
