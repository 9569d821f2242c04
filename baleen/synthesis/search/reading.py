"""What tool results say: hits of a search, facts of a page, and whether a page shows what a question asks for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from baleen.environments.search.corpus import is_run, tokens
from baleen.environments.search.task import FactLines
from baleen.synthesis.search.form import Link, Unknown
from baleen.synthesis.search.mentions import is_named_in

_HIT = re.compile(r"^\d+\. \[([^\]]+)\] (.*)$", re.MULTILINE)
_HEAD = re.compile(r"^(.*) \[([^\]]+)\], page (\d+) of (\d+)$")
_VALUE = re.compile(r"^(.*?)(?: \[([^\]]+)\])?$")
_ALSO = "Also called"


@dataclass(frozen=True)
class Page:
    """A document as its pages show it. facts: (name of the line, value, id of the entity it names or "")."""

    id: str
    title: str
    description: str
    facts: tuple[tuple[str, str, str], ...]

    @property
    def names(self) -> list[str]:
        return [self.title, *(value for name, value, _ in self.facts if name == _ALSO)]

    def linked(self, line: str) -> list[str]:
        """Ids that the lines of this name give."""
        return [other for name, _, other in self.facts if name == line and other]


def hits_of(result: str) -> list[str]:
    """Ids in a result of `search`, the best first."""
    return [hit for hit, _ in _HIT.findall(result)]


def hits_naming(result: str, name: str) -> list[str]:
    """Ids of those hits whose title or excerpt has the words of `name`."""
    wanted = tokens(name)
    return [hit for hit, shown in _HIT.findall(result) if is_run(wanted, tokens(shown))]


def pages_in(result: str) -> int:
    """How many pages the document has of which `open` gave one; 0 for an error."""
    head = _HEAD.match(result.partition("\n")[0])
    return int(head.group(4)) if head else 0


def hits_called(result: str, name: str) -> list[str]:
    """Ids of those hits that have this very title, or show it as another name."""
    wanted = name.casefold()
    return [
        hit
        for hit, shown in _HIT.findall(result)
        if shown.casefold().startswith(f"{wanted}:") or f"{_ALSO}: {name}".casefold() in shown.casefold()
    ]


class Reader:
    """Reads pages of one corpus. shown: the names of its fact lines, as the corpus describes itself."""

    def __init__(self, shown: FactLines) -> None:
        self._lines = shown.lines
        self._label_lines = shown.label_lines
        self._number_lines = shown.number_lines
        self._known = {
            _ALSO,
            *self._label_lines.values(),
            *self._number_lines.values(),
            *(line for pair in self._lines.values() for line in pair if line),
        }

    def page(self, results: Sequence[str]) -> Page:
        """The document of the results of `open`, all its pages in order."""
        head = _HEAD.match(results[0].partition("\n")[0])
        assert head is not None, results[0][:80]
        prose: list[str] = []
        facts = []
        for line in "\n".join(result.partition("\n\n")[2] for result in results).splitlines():
            name, colon, value = line.partition(": ")
            parsed = _VALUE.match(value)
            if colon and name in self._known and parsed is not None:
                facts.append((name, parsed.group(1), parsed.group(2) or ""))
            else:
                prose.append(line)
        return Page(head.group(2), head.group(1), "\n".join(prose), tuple(facts))

    def missing(self, unknown: Unknown, page: Page) -> list[str]:
        """What the page does not show of labels, numbers and words asked for."""
        lacking = []
        for label, value in unknown.labels:
            if not any(name == self._label_lines[label] and v == value for name, v, _ in page.facts):
                lacking.append(f"{label} {value}")
        for attribute, low, high in unknown.numbers:
            line = self._number_lines[attribute]
            if not any(low <= number_of(v) <= high for name, v, _ in page.facts if name == line):
                lacking.append(attribute)
        words = tokens(page.description)
        lacking += [phrase for phrase in unknown.says if not is_run(tokens(phrase), words)]
        return lacking

    def shows(self, link: Link, page: Page, other: Page) -> bool:
        """Whether one of the two pages shows the edge between their entities."""
        subject, object_ = (page, other) if link.forward else (other, page)
        on_subject, on_object = self._lines[link.relation]
        if on_subject or on_object:
            return bool(on_subject and object_.id in subject.linked(on_subject)) or bool(
                on_object and subject.id in object_.linked(on_object)
            )
        return any(is_named_in(name, subject.description) for name in object_.names)

    def line_towards(self, link: Link) -> str:
        """Name of the lines on the other's page that list what may have this link; "" where there is none."""
        on_subject, on_object = self._lines[link.relation]
        return on_object if link.forward else on_subject

    def is_told_in_prose(self, link: Link) -> bool:
        return not any(self._lines[link.relation])


def number_of(value: str) -> float:
    """The number that a fact begins with; years before Christ are negative."""
    found = re.match(r"-?\d+(?:\.\d+)?", value)
    number = float(found.group()) if found else float("nan")
    return -number if value.endswith(" BC") else number
