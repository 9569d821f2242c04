"""The logical form of a question: a tree of unknown entities, each with what is asked of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Link:
    """An edge between an unknown and another. forward: the first is the edge's subject, else its object."""

    relation: str
    forward: bool
    to: "Unknown"


@dataclass(frozen=True)
class Unknown:
    """An entity that is not named. It fits when all of this is true of it:

    labels: (label, value) pairs; numbers: (attribute, lowest, highest); says: word sequences of its description;
    links: edges to entities that fit in turn. The first link is the main line of the question; the others are
    side conditions. witness: the entity the question was made from; not part of the condition.
    """

    labels: tuple[tuple[str, str], ...] = ()
    numbers: tuple[tuple[str, float, float], ...] = ()
    says: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    witness: str = ""

    @property
    def depth(self) -> int:
        """The longest way from this unknown over links."""
        return max((1 + link.to.depth for link in self.links), default=0)

    @property
    def size(self) -> int:
        """How many conditions there are in all."""
        own = len(self.labels) + len(self.numbers) + len(self.says) + len(self.links)
        return own + sum(link.to.size for link in self.links)

    def walk(self) -> Iterator["Unknown"]:
        """This unknown and all below it, the main line first."""
        yield self
        for link in self.links:
            yield from link.to.walk()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON, without the witnesses."""
        return {
            "labels": [list(pair) for pair in self.labels],
            "numbers": [list(triple) for triple in self.numbers],
            "says": list(self.says),
            "links": [
                {"relation": link.relation, "forward": link.forward, "to": link.to.to_json()}
                for link in self.links
            ],
        }

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        return cls(
            labels=tuple((label, value) for label, value in row["labels"]),
            numbers=tuple((attribute, low, high) for attribute, low, high in row["numbers"]),
            says=tuple(row["says"]),
            links=tuple(Link(r["relation"], r["forward"], cls.from_json(r["to"])) for r in row["links"]),
        )
