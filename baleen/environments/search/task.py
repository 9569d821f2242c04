"""What the data of a search task holds: other names of the answer, and how the question was made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from baleen.environments.record import Record


@dataclass(frozen=True)
class FactLines(Record):
    """Names of the lines in which the pages of a corpus state facts, as in "Part of: Germany [n08766988]".

    Attributes:
        lines: relation -> (name of its line on the subject's page, on the object's page); "" if only prose states it.
        label_lines: label -> name of its line.
        number_lines: attribute -> name of its line.
    """

    lines: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    label_lines: Mapping[str, str] = field(default_factory=dict)
    number_lines: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SearchTask(Record):
    """Data of a search task. The environment needs only `aliases`; the rest is for a scripted agent and for readers.

    Attributes:
        form: the logical form of the question (see `baleen.synthesis.search.form`).
        witnesses: ids of the entities that the question was made from, the answer first.
        aliases: other names of the answer.
        shown: how the pages of the corpus state facts.
        tried: name of each answerer that tried the question -> its wrong answer.
    """

    form: Mapping[str, Any] = field(default_factory=dict, repr=False)
    witnesses: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    shown: FactLines = field(default_factory=FactLines, repr=False)
    tried: Mapping[str, str] = field(default_factory=dict, repr=False)
