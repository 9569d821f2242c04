"""Questions in words: a logical form by templates, several for every relation, condition and frame.

Every condition is a verb phrase ("lies in a country that ..."); a frame nests them in one sentence, or gives the
unknowns letters and tells them one by one, from the clue to the answer or from the answer to the clue.
"""

import random
import re
from collections.abc import Callable, Mapping, Sequence

from baleen.synthesis.search.form import Link, Unknown

# relation -> (the unknown is the edge's subject, the unknown is its object); {} is the other entity
_LINKS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "part_of": (
        ("is part of {}", "is listed as a part of {}", "belongs to {}", "is to be found within {}"),
        ("has {} as one of its parts", "contains {}", "counts {} among its parts", "includes {}"),
    ),
    "member_of": (
        ("is a member of {}", "belongs to {}", "is counted among the members of {}"),
        ("has {} as a member", "counts {} among its members", "includes {} as a member"),
    ),
    "region": (
        ("is a term of the region {}", "is assigned to the region {}", "belongs to the region called {}"),
        ("is the region that {} is assigned to", "is given as the region of {}"),
    ),
    "mentions": (
        (
            "is described in an entry that names {}",
            "has {} named in its description",
            "refers to {} in its text",
        ),
        ("is named in the description of {}", "is mentioned where {} is described", "is referred to by {}"),
    ),
    "depends": (
        ("depends on {}", "cannot be installed without {}", "declares a dependency on {}", "needs {} to run"),
        ("is something that {} depends on", "is required by {}", "is pulled in as a dependency of {}"),
    ),
    "recommends": (
        (
            "recommends {}",
            "is better with {} beside it, by its own recommendation",
            "lists {} as recommended",
        ),
        ("is recommended by {}", "is on the list of recommendations of {}"),
    ),
    "suggests": (
        ("suggests {}", "offers {} as a suggestion", "lists {} among its suggested additions"),
        ("is suggested by {}", "is among the suggestions of {}"),
    ),
    "enhances": (
        ("enhances {}", "declares that it improves {}"),
        ("is enhanced by {}", "is made better by {}, which says so itself"),
    ),
    "maintainer": (
        ("is maintained by {}", "is looked after by {}", "has {} for its maintainer"),
        ("maintains {}", "looks after {}", "is the maintainer of {}"),
    ),
}
_LABELS: dict[str, Sequence[str]] = {
    "kind": ("is also a kind of {}", "counts as {} too", "may be classed under “{}”"),
    "section": ("stands in the section “{}”", "is filed under “{}”", "belongs to the section named “{}”"),
    "tag": ("carries the tag “{}”", "is tagged “{}”", "has “{}” among its tags"),
    "priority": ("has the priority “{}”", "is of priority “{}”"),
    "architecture": ("is built for the architecture “{}”", "lists “{}” as its architecture"),
}
_NUMBERS: dict[str, Sequence[str]] = {
    "born": ("was born {}", "came into the world {}", "has a birth date that falls {}"),
    "died": ("died {}", "has a year of death that falls {}", "lived until a year {}"),
    "installed_kb": (
        "takes {} of disk space when installed",
        "has an installed size of {}",
        "fills {} on the disk",
    ),
}
_SAYS = (
    "is described with the words “{}”",
    "has a description that says “{}”",
    "is, in the corpus's words, “{}”",
    "is presented by the phrase “{}”",
)
_SAYS_WORDS = (
    "has a description with the words {}",
    "is described in terms that include {}",
    "has {} among the words of its description",
)
_ASKS = (
    "Which {0} {1}?",
    "Name the {0} that {1}.",
    "What is the name of the {0} that {1}?",
    "Identify the one {0} that {1}.",
    "There is exactly one {0} that {1}. Which one?",
    "Find the {0} that {1}; what is it called?",
)


class Wording:
    """Words of questions about one corpus. noun: what an entity without a kind is called ("document")."""

    def __init__(self, noun: str, rng: random.Random) -> None:
        self._noun = noun
        self._rng = rng
        self._letters: dict[int, str] = {}

    def question(self, form: Unknown) -> str:
        """The form as a question, in one of the frames."""
        frames = [self._from_the_clue, self._from_the_answer]
        # three relative clauses deep nobody follows, nor to which of two a third belongs
        if form.depth <= 2 and all(len(unknown.links) <= 1 for unknown in form.walk()):
            frames += [self._nested, self._nested]
        return self._rng.choice(frames)(form)

    def _nested(self, form: Unknown) -> str:
        ask = self._rng.choice(_ASKS)
        return ask.format(self._noun_of(form), _joined(self._conditions(form, self._phrase)))

    def _phrase(self, unknown: Unknown) -> str:
        conditions = self._conditions(unknown, self._phrase)
        noun = self._noun_of(unknown)
        return (
            f"{_article(noun)} {noun} that {_joined(conditions)}"
            if conditions
            else f"{_article(noun)} {noun}"
        )

    def _from_the_clue(self, form: Unknown) -> str:
        *clues, _ = order = list(reversed(list(form.walk())))
        self._name(order)
        sentences = []
        for unknown in clues:
            start = self._rng.choice(
                ("{} is {} {} that {}.", "Let {} be {} {} that {}.", "Call {} {} {} that {}.")
            )
            noun = self._noun_of(unknown)
            conditions = _joined(self._conditions(unknown, self._letter))
            sentences.append(start.format(self._letter(unknown), _article(noun), noun, conditions))
        ask = self._rng.choice(_ASKS)
        sentences.append(ask.format(self._noun_of(form), _joined(self._conditions(form, self._letter))))
        return " ".join(sentences)

    def _from_the_answer(self, form: Unknown) -> str:
        order = list(form.walk())
        self._name(order)
        start = self._rng.choice(("I am looking for", "We want", "Wanted:", "The question is about"))
        sentences = []
        for unknown in order:
            noun = self._noun_of(unknown)
            conditions = _joined(self._conditions(unknown, self._letter))
            letter = self._letter(unknown)
            if not sentences:
                sentences.append(f"{start} {_article(noun)} {noun}, call it {letter}. {letter} {conditions}.")
            else:
                pattern = self._rng.choice(
                    ("{0} is {1} {2} that {3}.", "Of {0} it is known: it is {1} {2} that {3}.")
                )
                sentences.append(pattern.format(letter, _article(noun), noun, conditions))
        end = self._rng.choice(
            ("What is {0}?", "What is the name of {0}?", "Give the name of {0}.", "Which {1} is {0}?")
        )
        sentences.append(end.format(self._letter(form), self._noun_of(form)))
        return " ".join(sentences)

    def _conditions(self, unknown: Unknown, other: Callable[[Unknown], str]) -> list[str]:
        """Verb phrases of all conditions but the kind that the noun tells; shuffled but for the main link's place."""
        choose = self._rng.choice
        found = [
            choose(_LABELS.get(label, ("has “{}” for its " + label,))).format(value)
            for label, value in unknown.labels[bool(self._kind_of(unknown)) :]
        ]
        found += [
            choose(_NUMBERS.get(name, (f"has a {name} {{}}",))).format(_range(name, low, high))
            for name, low, high in unknown.numbers
        ]
        if len(unknown.says) > 1:
            found.append(choose(_SAYS_WORDS).format(_joined([f"“{word}”" for word in unknown.says])))
        found += [choose(_SAYS).format(phrase) for phrase in unknown.says[:1] if len(unknown.says) == 1]
        found += [self._link(link, other) for link in unknown.links[1:]]
        self._rng.shuffle(found)
        # a nested clause at the end does not swallow those after it
        return found + [self._link(link, other) for link in unknown.links[:1]]

    def _link(self, link: Link, other: Callable[[Unknown], str]) -> str:
        forward, backward = _LINKS[link.relation]
        return self._rng.choice(forward if link.forward else backward).format(other(link.to))

    def _kind_of(self, unknown: Unknown) -> str:
        return unknown.labels[0][1] if unknown.labels and unknown.labels[0][0] == "kind" else ""

    def _noun_of(self, unknown: Unknown) -> str:
        return self._kind_of(unknown) or self._noun

    def _name(self, order: Sequence[Unknown]) -> None:
        self._letters = {id(unknown): "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[i % 26] for i, unknown in enumerate(order)}

    def _letter(self, unknown: Unknown) -> str:
        return self._letters[id(unknown)]


def tree(form: Unknown, noun: str) -> str:
    """The conditions as an indented list, for a model that is to word them or to check an answer by them."""
    return "\n".join(_lines(form, noun, 0))


def _lines(unknown: Unknown, noun: str, level: int) -> list[str]:
    kind = next((value for label, value in unknown.labels if label == "kind"), noun)
    lines = [f"{'  ' * level}- {_article(kind)} {kind}"]
    inner = "  " * (level + 1)
    lines += [
        f"{inner}- {label}: {value}" for label, value in unknown.labels if label != "kind" or value != kind
    ]
    lines += [f"{inner}- {name} {_range(name, low, high)}" for name, low, high in unknown.numbers]
    lines += [f"{inner}- its description says “{phrase}”" for phrase in unknown.says]
    for link in unknown.links:
        forward, backward = _LINKS[link.relation]
        lines.append(f"{inner}- {(forward if link.forward else backward)[0].format('the following')}:")
        lines += _lines(link.to, noun, level + 2)
    return lines


def _joined(parts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:])))


def _article(noun: str) -> str:
    return "an" if re.match(r"(?!eu|uni|us|one)[aeiou]", noun, re.IGNORECASE) else "a"


def _range(attribute: str, low: float, high: float) -> str:
    if attribute in ("born", "died"):
        if high < 0:
            return f"in the {_ordinal(int(-low) // 100)} century BC"
        if high - low == 9:
            return f"in the {low:.0f}s"
        return f"between {low:.0f} and {high:.0f}"
    if attribute == "installed_kb":
        if low >= 1000:
            return f"between {low / 1000:g} and {high / 1000:g} MB"
        return f"between {low:g} and {high:g} kB"
    return f"between {low:g} and {high:g}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def hidden_names(form: Unknown, names: Mapping[str, Sequence[str]]) -> list[str]:
    """Names of all entities that the question must not name."""
    return [name for unknown in form.walk() for name in names[unknown.witness]]
