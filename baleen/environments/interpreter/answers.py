"""Whether two answers are the same: integers, fractions and decimals are compared by value, text by its words.

The answer of a message is what follows the last "####" at the start of a line (as in GSM8K) or stands in the last
\\boxed{...}, whichever comes later. If the message has neither, the whole message is the answer.
"""

import re
from fractions import Fraction
from typing import Literal

Kind = Literal["number", "text"]

_MAX_CHARACTERS = 2_000  # of an answer; long numbers take long to compare
_HASHES = re.compile(r"^[ \t]*####[ \t]*(.*)$", re.MULTILINE)
_BOXED = re.compile(r"\\boxed\s*\{")
_FRAC = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
# No exponents: 1e999999999 is short to write but takes long to compute.
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:/\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))", re.ASCII)


def final_answer(content: str) -> str:
    """The answer in a final message, without surrounding white space."""
    found = [(match.start(), match.group(1)) for match in _HASHES.finditer(content)]
    found += [(match.start(), _braced(content, match.end())) for match in _BOXED.finditer(content)]
    return (max(found)[1] if found else content).strip()


def number(text: str) -> Fraction | None:
    """The exact value of an integer, fraction or decimal; None for any other text."""
    if len(text) > _MAX_CHARACTERS:
        return None
    text = _FRAC.sub(r"\1/\2", text).strip().strip("$").rstrip(".").replace("\u2212", "-")
    text = _THOUSANDS.sub("", text.replace("\\,", "")).removeprefix("$")
    if not _NUMBER.fullmatch(text):
        return None
    whole, _, below = text.partition("/")
    if below and not int(below):
        return None
    return Fraction(whole.rstrip(".")) / int(below or 1)


def same(answer: str, truth: str, tolerance: str = "0") -> bool:
    """Whether an answer is right.

    Args:
        answer: the answer to check.
        truth: the right answer.
        tolerance: how far the answer may be off if the truth is a number, as a decimal.
    """
    wanted = number(truth)
    if wanted is None:
        return len(answer) <= _MAX_CHARACTERS and _words(answer) == _words(truth)
    given = number(answer)
    return given is not None and abs(given - wanted) <= Fraction(tolerance)


def _words(text: str) -> str:
    return " ".join(text.strip().strip("$").rstrip(".").casefold().split())


def _braced(text: str, start: int) -> str:
    """The text from `start` to the brace that closes the one before `start`."""
    depth = 1
    for i in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return text[start:i]
    return text[start:]
