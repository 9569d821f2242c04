"""An exact calculator, and tasks whose numbers are too large to work out without it."""

import random
import re
from collections.abc import Mapping
from typing import Any

from baleen.chat import Message
from baleen.environments.task import Domain, Style, answer_message, tool_episode

_MAX_EXPRESSION = 200  # characters; products of what fits stay far below any cost
_TOKEN = re.compile(r"\s*(\d+|[-+*])", re.ASCII)


class ExpressionError(ValueError):
    """An expression the calculator cannot read; the message is written for whoever typed it."""


def evaluate(expression: str) -> int:
    """The exact value of integers joined by + - * (product first, a sign may precede a number).

    Raises ExpressionError.
    """
    tokens = _tokens(expression)
    position = 0

    def factor() -> int:
        nonlocal position
        sign = 1
        while position < len(tokens) and tokens[position] in "+-":
            sign = -sign if tokens[position] == "-" else sign
            position += 1
        if position == len(tokens) or tokens[position] == "*":
            raise ExpressionError(f"a number is missing in {expression!r}")
        position += 1
        return sign * int(tokens[position - 1])

    def product() -> int:
        nonlocal position
        value = factor()
        while position < len(tokens) and tokens[position] == "*":
            position += 1
            value *= factor()
        return value

    total = product()
    while position < len(tokens):
        operator = tokens[position]
        if operator not in "+-":
            raise ExpressionError(f"an operator is missing before {operator} in {expression!r}")
        position += 1
        total += product() if operator == "+" else -product()
    return total


def _tokens(expression: str) -> list[str]:
    if len(expression) > _MAX_EXPRESSION:
        raise ExpressionError(
            f"the expression has {len(expression)} characters, the limit is {_MAX_EXPRESSION}"
        )
    text = expression.rstrip()
    tokens: list[str] = []
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise ExpressionError(f"only integers and + - * are understood, not {expression!r}")
        tokens.append(match[1])
        position = match.end()
    return tokens


class Calculator:
    """ "Compute 47*83+256."; difficulty is the number of operators, each worked out by one call."""

    name = "calculator"
    domain: Domain = "tool"
    difficulties = range(1, 5)
    uses_tools = True

    def draw(self, difficulty: int, rng: random.Random) -> dict[str, Any]:
        terms = [str(rng.randrange(11, 100)), f"*{rng.randrange(11, 100)}"]
        for index in range(1, difficulty):
            # What is taken away is smaller than what was added before it: no value is negative.
            terms.append(f"+{rng.randrange(100, 1000)}" if index % 2 else f"-{rng.randrange(10, 100)}")
        return {"terms": terms}

    def key(self, data: Mapping[str, Any]) -> str:
        left, right, *rest = data["terms"]
        return "".join([*sorted((left, right[1:]), key=int), *rest])

    def question(self, data: Mapping[str, Any]) -> str:
        return f"Compute {''.join(data['terms'])}."

    def answer(self, data: Mapping[str, Any]) -> str:
        return str(evaluate("".join(data["terms"])))

    def demonstrate(self, data: Mapping[str, Any], style: Style) -> list[Message]:
        value, *rest = data["terms"]
        if style == "short":
            return [answer_message(self.answer(data), f": {''.join(data['terms'])}")]
        steps = []
        for term in rest:
            expression = value + term
            value = str(evaluate(expression))
            steps.append(("calculate", {"expression": expression}, expression, value))
        return tool_episode(steps, value, style)

    def near_miss(self, data: Mapping[str, Any]) -> str:
        return str(int(self.answer(data)) + 10)
