"""What the data of an interpreter task holds: a program that solves it, and how exact an answer must be."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Annotated

from pydantic import BeforeValidator

from baleen.environments.record import Record


def _decimal(value: object) -> str:
    try:
        Fraction(str(value))
    except (ValueError, ZeroDivisionError):
        raise ValueError("it should be a decimal number, such as 0.001") from None
    return str(value)


@dataclass(frozen=True)
class InterpreterTask(Record):
    """Data of an interpreter task.

    Attributes:
        program: Python that prints the answer; "" if there is none.
        tolerance: how far a numerical answer may be off, as a decimal.
    """

    program: str = field(default="", repr=False)
    tolerance: Annotated[str, BeforeValidator(_decimal)] = "0"
