"""Little programs on a string of four digits: reverse, sort, rotate, swap."""

import random
from collections.abc import Callable, Mapping
from typing import Any

from baleen.chat import Message
from baleen.environments.task import Domain, Style, answer_message

OPERATIONS: dict[str, Callable[[str], str]] = {
    "rev": lambda digits: digits[::-1],
    "sort": lambda digits: "".join(sorted(digits)),
    "rot": lambda digits: digits[1:] + digits[:1],
    "swap": lambda digits: digits[-1] + digits[1:-1] + digits[0],
}
_NAMES = tuple(OPERATIONS)


class Program:
    """ "Apply rev, sort to 4813."; difficulty is the number of operations."""

    name = "program"
    domain: Domain = "logic"
    difficulties = range(1, 7)
    uses_tools = False

    def draw(self, difficulty: int, rng: random.Random) -> dict[str, Any]:
        operations: list[str] = []
        while len(operations) < difficulty:
            operation = rng.choice(_NAMES)
            # An operation twice in a row would mostly undo itself or do nothing.
            if not operations or operation != operations[-1]:
                operations.append(operation)
        return {"operations": operations, "digits": _digits(4, rng)}

    def key(self, data: Mapping[str, Any]) -> str:
        # The string alone: a held-out string was never seen under any program.
        return str(data["digits"])

    def question(self, data: Mapping[str, Any]) -> str:
        return f"Apply {', '.join(data['operations'])} to {data['digits']}."

    def answer(self, data: Mapping[str, Any]) -> str:
        return _states(data)[-1]

    def demonstrate(self, data: Mapping[str, Any], style: Style) -> list[Message]:
        states = _states(data)
        thought = None
        if style == "short":
            thought = f": {states[-1]}"
        elif style == "full":
            pairs = zip(data["operations"], states, strict=True)
            thought = f"= {' '.join(f'{operation} {state}' for operation, state in pairs)}"
        return [answer_message(states[-1], thought)]

    def near_miss(self, data: Mapping[str, Any]) -> str:
        # One operation too few, or, where that changes nothing, one digit off.
        states = [str(data["digits"]), *_states(data)]
        if states[-2] != states[-1]:
            return states[-2]
        return states[-1][:-1] + str((int(states[-1][-1]) + 1) % 10)


class OneOperation(Program):
    """A program of one given operation; difficulty is the number of digits."""

    difficulties = range(4, 11)

    def __init__(self, name: str, operation: str) -> None:
        self.name = name
        self._operation = operation

    def draw(self, difficulty: int, rng: random.Random) -> dict[str, Any]:
        return {"operations": [self._operation], "digits": _digits(difficulty, rng)}


def _digits(length: int, rng: random.Random) -> str:
    return "".join(rng.choices("0123456789", k=length))


def _states(data: Mapping[str, Any]) -> list[str]:
    """The string after each operation."""
    states: list[str] = []
    digits = str(data["digits"])
    for operation in data["operations"]:
        digits = OPERATIONS[operation](digits)
        states.append(digits)
    return states
