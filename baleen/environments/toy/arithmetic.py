"""Sums of digits. Thinking aloud makes each step a small table look-up; a direct answer is not."""

import itertools
import random
from collections.abc import Mapping
from typing import Any

from baleen.chat import Message
from baleen.environments.task import Domain, Style, answer_message

# Fixed widths keep the strides of the copies equal, which small models learn several times faster.
_TOTAL_WIDTH = 2


class Sum:
    """ "Add 7+5+9."; difficulty is the number of operands."""

    name = "sum"
    domain: Domain = "math"
    difficulties = range(2, 13)
    uses_tools = False

    def draw(self, difficulty: int, rng: random.Random) -> dict[str, Any]:
        return {"operands": [rng.randrange(1, 10) for _ in range(difficulty)]}

    def key(self, data: Mapping[str, Any]) -> str:
        # Order does not change a sum.
        return "+".join(map(str, sorted(data["operands"])))

    def question(self, data: Mapping[str, Any]) -> str:
        return f"Add {'+'.join(map(str, data['operands']))}."

    def answer(self, data: Mapping[str, Any]) -> str:
        return str(sum(data["operands"]))

    def demonstrate(self, data: Mapping[str, Any], style: Style) -> list[Message]:
        return [answer_message(self.answer(data), _thought(data["operands"], style))]

    def near_miss(self, data: Mapping[str, Any]) -> str:
        # The last operand forgotten.
        return str(sum(data["operands"][:-1]))


def _thought(operands: list[int], style: Style) -> str | None:
    if style == "direct":
        return None
    totals = [f"{total:0{_TOTAL_WIDTH}d}" for total in itertools.accumulate(operands)][1:]
    if style == "short":
        return f": {' '.join(totals)}"
    lefts = [str(operands[0]), *totals]
    steps = (
        f"{left}+{right}={total}" for left, right, total in zip(lefts, operands[1:], totals, strict=False)
    )
    return f"= {' '.join(steps)}"
