"""The calculator is exact, the store is a store, and a wrong call comes back as a text."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baleen.environments import Environment, environment_for, sample_task
from baleen.environments.toy.calculator import ExpressionError, evaluate
from baleen.environments.toy.lookup import next_key


def call(name: str, arguments: object) -> dict[str, Any]:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return {"type": "function", "function": {"name": name, "arguments": text}}


def results(world: Environment, *calls: dict[str, Any]) -> list[str]:
    replies = world.step({"role": "assistant", "content": "", "tool_calls": list(calls)})
    assert all(reply["role"] == "tool" for reply in replies)
    return [reply["content"] for reply in replies]


def world_of(family: str) -> Environment:
    return environment_for(sample_task(family, 2, random.Random(0), "train"))


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("7", 7),
        ("2+3*4", 14),
        ("2*3+4*5", 26),
        ("10-4-3", 3),
        ("007*2", 14),
        (" 47 * 83 ", 3901),
        ("-3*-4", 12),
        ("2--3", 5),
        ("99999999999999999999*99999999999999999999", 9999999999999999999800000000000000000001),
    ],
)
def test_values(expression: str, value: int) -> None:
    assert evaluate(expression) == value


@pytest.mark.parametrize(
    "expression",
    [
        "",
        " ",
        "*3",
        "3*",
        "3+",
        "2 3",
        "2**3",
        "4/2",
        "(1+2)",
        "1.5",
        "a",
        "٣+1",
        "__import__('os')",
        "1+" * 200,
    ],
)
def test_what_is_no_expression(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression)


NUMBERS = st.integers(0, 10**12)


@given(NUMBERS, st.lists(st.tuples(st.sampled_from("+-*"), NUMBERS), max_size=8))
def test_products_bind_closer_than_sums(first: int, rest: list[tuple[str, int]]) -> None:
    summands = [first]
    for operator, number in rest:
        if operator == "*":
            summands[-1] *= number
        else:
            summands.append(number if operator == "+" else -number)
    assert evaluate(str(first) + "".join(f"{o}{n}" for o, n in rest)) == sum(summands)


def test_a_store_is_a_stable_map_of_three_digit_keys() -> None:
    found = [next_key("salt", str(key)) for key in range(100, 1000)]
    assert found == [next_key("salt", str(key)) for key in range(100, 1000)]
    assert all(key is not None and 100 <= int(key) <= 999 for key in found)
    assert len(set(found)) > 500  # about 1 - 1/e of the keys are pointed to
    assert found != [next_key("pepper", str(key)) for key in range(100, 1000)]
    assert [next_key("salt", key) for key in ("", "99", "1000", "012", "abc", "1٣٣", "417\n")] == [None] * 7


def test_lookup_follows_the_tasks_own_store() -> None:
    task = sample_task("lookup", 2, random.Random(0), "train")
    world = environment_for(task)
    (first,) = results(world, call("lookup", {"key": task.data["start"]}))
    assert results(world, call("lookup", {"key": first})) == [task.answer]


def test_every_tool_task_has_both_tools_and_answers_in_order() -> None:
    for family in ("calculator", "lookup"):
        value, key = results(
            world_of(family), call("calculate", {"expression": "6*7"}), call("lookup", {"key": "417"})
        )
        assert value == "42" and key.isdigit()


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (call("python", {"code": "1"}), "no tool 'python'; tools: calculate, lookup"),
        (call("calculate", '{"expression": }'), "not JSON"),
        (call("calculate", "[" * 100_000), "not JSON"),
        (call("calculate", ["1"]), "not a JSON object"),
        (call("calculate", {}), "'expression' is a required property"),
        (call("calculate", {"expression": "1", "key": "2"}), "calculate has no argument key"),
        (call("calculate", {"expression": 5}), "5 is not of type 'string'"),
        (call("calculate", {"expression": "2**3"}), "a number is missing"),
        (call("lookup", {"key": "12"}), "no key '12'"),
    ],
)
def test_a_wrong_call_comes_back_as_text(wrong: dict[str, Any], says: str) -> None:
    (text,) = results(world_of("calculator"), wrong)
    assert text.startswith("error: ") and says in text


def test_tasks_without_tools_offer_none() -> None:
    assert results(world_of("sum"), call("calculate", {"expression": "1+1"})) == [
        "error: no tool 'calculate'; tools: none"
    ]


def test_only_an_assistants_last_word_scores() -> None:
    world = world_of("calculator")
    answer = world.task.answer
    assert world.score({"role": "assistant", "content": answer}) == 1.0
    assert world.score({"role": "user", "content": answer}) == 0.0
    assert world.score({"role": "assistant", "content": None}) == 0.0
    assert world.score({"role": "assistant", "content": answer, "tool_calls": [call("lookup", {})]}) == 0.0
    assert world.score({"role": "assistant", "content": "", "reasoning_content": answer}) == 0.0
