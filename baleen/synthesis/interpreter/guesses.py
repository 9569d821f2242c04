"""What can be answered without computing: the guesses that a problem must defeat."""

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction

from baleen.environments.interpreter import number, same

_NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?", re.ASCII)
_MOST = 60  # numbers of a question that are looked at one by one
_MOST_PAIRS = 6  # numbers whose sums, differences, products and quotients are tried
_SMALL = ("0", "1", "2", "3", "1/2")


def lucky_guess(question: str, answer: str, tolerance: str) -> str | None:
    """The first guess that is right: small numbers, those of the question and their neighbours, sums and products."""
    return next((guess for guess in _guesses(question) if same(guess, answer, tolerance)), None)


def _guesses(question: str) -> Iterator[str]:
    yield from _SMALL
    found = (number(text.strip(",")) for text in _NUMBER.findall(question))
    values = [value for value in found if value is not None]
    for value in values[:_MOST]:
        yield from map(str, (value, value - 1, value + 1, 2 * value, value / 2))
    for a, b in itertools.permutations(values[:_MOST_PAIRS], 2):
        yield from map(str, (a + b, a - b, a * b))
        if b:
            yield str(a / b)
    if values:
        yield from map(str, (sum(values, Fraction(0)), max(values) - min(values), len(values)))
