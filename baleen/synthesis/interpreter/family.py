"""What a family of generated problems is: a difficulty dial that draws problems whose answer is computed twice."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DIFFICULTIES = range(1, 5)


@dataclass(frozen=True)
class Problem:
    """One problem.

    answer: as an algorithm of this package finds it. program: Python that finds it in another way and prints it;
    it uses nothing but the standard library. tolerance: how far a numerical answer may be off, as a decimal.
    """

    question: str
    answer: str
    program: str
    tolerance: str = "0"


@dataclass(frozen=True)
class Family:
    """draw: a random problem of a difficulty in `DIFFICULTIES`; the same state of the generator, the same problem."""

    name: str
    draw: Callable[[int, random.Random], Problem]


def program(values: Mapping[str, Any], body: str) -> str:
    """A program that begins by naming its values, all of them plain literals."""
    return "".join(f"{name} = {value!r}\n" for name, value in values.items()) + body.strip("\n") + "\n"


def listed(items: object) -> str:
    """A sequence as a sentence has it: 3, 5, 8."""
    assert isinstance(items, list | tuple)
    return ", ".join(map(str, items))
