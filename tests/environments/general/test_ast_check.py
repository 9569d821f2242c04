"""The check names what a solution may not contain."""

import pytest

from baleen.environments.general import DOMAINS
from baleen.environments.general.ast_check import AstCheckError, check_solution
from baleen.environments.general.sampling import solution_source, tools_of

GOOD = """
def solution(tools):
    best = None
    for hotel in tools.hotels(city="Rome"):
        price = tools.price(hotel=hotel)
        if best is None or [price, hotel] < best:
            best = [price, hotel]
    names = sorted({h.strip().lower() for h in best[1:]})
    count: int = 0
    while count < 3:
        count += 1
    return f"{names[0]} {count}"
"""
TOOLS = {"hotels", "price"}


def test_computing_and_calling_tools_pass() -> None:
    check_solution(GOOD, TOOLS)


@pytest.mark.parametrize("name", DOMAINS)
def test_the_scripted_solutions_pass(name: str) -> None:
    for template in DOMAINS[name].templates:
        check_solution(solution_source(template.solve), tools_of(template.solve))


@pytest.mark.parametrize(
    "body",
    [
        "import os",
        "from os import path",
        "return (lambda: 1)()",
        "return tools.__class__",
        "return tools.price.__globals__['db']",
        "return tools.price(hotel='x').__class__",
        "f = tools.price",
        "return getattr(tools, 'db')",
        "return open('/etc/passwd').read()",
        "return eval('1')",
        "return __import__('os')",
        "return '{0.__class__}'.format(tools)",
        "return tools.drop(table='t')",
        "return tools.price('x')",
        "return tools.price(**{'hotel': 1})",
        "return [c for c in ().__class__.__mro__]",
        "tools = 1",
        "def inner(): pass",
        "class A: pass",
        "try:\n        pass\n    except Exception:\n        pass",
        "with tools: pass",
        "global x",
        "yield 1",
        "x = (y := 1)",
        "del tools",
        "async def f(): pass",
        "return tools['price'](hotel=1)",
        "match 1:\n        case 1: pass",
    ],
)
def test_everything_else_is_refused(body: str) -> None:
    with pytest.raises(AstCheckError):
        check_solution(f"def solution(tools):\n    {body}\n", TOOLS)


@pytest.mark.parametrize(
    "text",
    [
        "x = 1",
        "def other(tools):\n    return 1",
        "def solution():\n    return 1",
        "def solution(tools, x=open('/etc/passwd')):\n    return x",
        "@print\ndef solution(tools):\n    return 1",
        "import os\ndef solution(tools):\n    return 1",
        "def solution(tools: print('x')):\n    return 1",
        "def solution(tools) -> print('x'):\n    return 1",
        "def solution(tools, *more):\n    return 1",
        "def solution(tools):\n  return (",
        "\x00",
        "def solution(tools):\n    return 1" + "\n" * 30_000,
    ],
)
def test_the_frame_is_one_plain_function(text: str) -> None:
    with pytest.raises(AstCheckError):
        check_solution(text, TOOLS)
