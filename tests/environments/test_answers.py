"""Which answers are the same, and where an answer stands in a message."""

import time

import pytest

from baleen.environments.interpreter import final_answer, same


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ("18", "18"),
        (" 18. ", "18"),
        ("18.0", "18"),
        ("+18", "18"),
        ("$18", "18"),
        ("$18.50$", "37/2"),
        ("1,234,567", "1234567"),
        ("1\\,234", "1234"),
        ("\u22125", "-5"),
        ("3/8", "6/16"),
        ("0.375", "3/8"),
        ("\\frac{3}{8}", "3/8"),
        ("-\\dfrac{1}{2}", "-0.5"),
        (".5", "1/2"),
        ("North  west", "north west"),
        ("Monday.", "monday"),
    ],
)
def test_the_same_answer(answer: str, truth: str) -> None:
    assert same(answer, truth)


@pytest.mark.parametrize(
    ("answer", "truth"),
    [
        ("", "18"),
        ("18 or 19", "18"),
        ("1 8", "18"),
        ("1,8", "18"),
        ("0.3333", "1/3"),
        ("1/0", "0"),
        ("nan", "0"),
        ("1e1", "10"),
        ("\u0661\u0668", "18"),
        ("eighteen", "18"),
        ("Tuesday", "Monday"),
    ],
)
def test_another_answer(answer: str, truth: str) -> None:
    assert not same(answer, truth)


def test_the_tolerance_is_a_closed_interval() -> None:
    assert same("1.01", "1", "0.01") and same("0.99", "1", "0.01")
    assert not same("1.0100001", "1", "0.01")


@pytest.mark.parametrize("answer", ["9" * 10**7, "1e999999999", "1/" + "9" * 10**6, "\\frac{1}{" * 10**5])
def test_no_answer_takes_long_to_refuse(answer: str) -> None:
    began = time.perf_counter()
    assert not same(answer, "5")
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        ("18", "18"),
        ("It is\n#### 18", "18"),
        ("#### 17\nno:\n  #### 18  ", "18"),
        ("So \\boxed{18}.", "18"),
        ("\\boxed{17}, or \\boxed{\\frac{3}{8}}", "\\frac{3}{8}"),
        ("\\boxed{17}\n#### 18", "18"),
        ("#### 17\nthat is \\boxed{18}", "18"),
        ("\\boxed{18", "18"),
        ("a #### 18", "a #### 18"),
        ("", ""),
    ],
)
def test_where_the_answer_stands(content: str, answer: str) -> None:
    assert final_answer(content) == answer
