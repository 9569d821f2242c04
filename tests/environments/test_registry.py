"""Tasks prove themselves, splits do not meet, and the dial makes tasks longer."""

import random
import time
from itertools import pairwise

import pytest

from baleen.environments import (
    FAMILIES,
    SPLITS,
    STYLES,
    Task,
    TaskError,
    demonstrate,
    environment_for,
    families_of,
    near_miss,
    plain_text,
    sample_task,
)

DIALS = [(family.name, d) for family in FAMILIES.values() for d in family.difficulties]


def tasks(family: str, difficulty: int, n: int = 20, split: str = "train", seed: int = 0) -> list[Task]:
    rng = random.Random(seed)
    return [sample_task(family, difficulty, rng, split) for _ in range(n)]  # type: ignore[arg-type]


def say(content: object) -> dict[str, object]:
    return {"role": "assistant", "content": content}


@pytest.mark.parametrize(("family", "difficulty"), DIALS)
def test_a_task_proves_itself(family: str, difficulty: int) -> None:
    for task in tasks(family, difficulty):
        world = environment_for(task)
        wrong = [
            "",
            near_miss(task),
            f"{task.answer}.",
            f"0{task.answer}",
            task.answer[:-1],
            f"-{task.answer}",
        ]
        assert world.score(say(task.answer)) == world.score(say(f" {task.answer}\n")) == 1.0
        assert [world.score(say(content)) for content in wrong] == [0.0] * len(wrong)


@pytest.mark.parametrize(("family", "difficulty"), DIALS)
@pytest.mark.parametrize("style", STYLES)
def test_demonstrations_play_true_in_the_world(family: str, difficulty: int, style: str) -> None:
    for task in tasks(family, difficulty):
        world = environment_for(task)
        world.reset()
        expected: list[dict[str, object]] = []
        messages = demonstrate(task, style)  # type: ignore[arg-type]
        for message in messages:
            if message["role"] == "tool":
                assert message == expected.pop(0)
                continue
            assert not expected
            expected = world.step(message)
            assert ("reasoning_content" in message) == (style != "direct")
        assert not expected
        guessed = family == "lookup" and style == "short"
        assert world.score(messages[-1]) == (0.0 if guessed else 1.0)


def answers(family: str, data: dict[str, object]) -> str:
    """Right answers, worked out apart from the code under test."""
    if family == "sum":
        return str(sum(data["operands"]))  # type: ignore[call-overload]
    if family == "calculator":
        terms = data["terms"]
        value = int(terms[0]) * int(terms[1][1:])  # type: ignore[index]
        return str(value + sum(int(term) for term in terms[2:]))  # type: ignore[index]
    digits = list(str(data["digits"]))
    for operation in data["operations"]:  # type: ignore[attr-defined]
        if operation == "rev":
            digits.reverse()
        elif operation == "sort":
            digits.sort()
        elif operation == "rot":
            digits.append(digits.pop(0))
        else:
            digits[0], digits[-1] = digits[-1], digits[0]
    return "".join(digits)


@pytest.mark.parametrize(("family", "difficulty"), [dial for dial in DIALS if dial[0] != "lookup"])
def test_answers_equal_an_independent_solver(family: str, difficulty: int) -> None:
    for task in tasks(family, difficulty):
        assert task.answer == answers(family, dict(task.data))


def test_splits_are_disjoint_and_one_in_eight_is_held_out() -> None:
    for family, difficulty in (("sum", 4), ("reverse", 4), ("calculator", 1)):
        train, heldout = (
            {task.question for task in tasks(family, difficulty, 1500, split)} for split in SPLITS
        )
        assert not train & heldout
    assert len({t.question for t in tasks("sum", 4, 6000, "heldout")}) < 6561 / 5
    assert len({t.question for t in tasks("sum", 4, 9000, "train")}) > 3000


def test_what_is_held_out_cannot_be_learnt_by_another_way() -> None:
    pairs = [{tuple(sorted(t.data["operands"])) for t in tasks("sum", 4, 2000, split)} for split in SPLITS]
    assert not pairs[0] & pairs[1]
    practised = {t.data["digits"] for t in tasks("reverse", 5, 4000) + tasks("program", 2, 4000)}
    assert not practised & {t.data["digits"] for t in tasks("sort", 5, 1000, "heldout")}
    products = [
        {frozenset(t.question[8:-1].split("*")) for t in tasks("calculator", 1, 1500, split)}
        for split in SPLITS
    ]
    assert not products[0] & products[1]
    key = FAMILIES["lookup"].key
    assert key({"salt": "s", "start": "417", "links": 1}) == key({"salt": "s", "start": "902", "links": 2})


def test_the_same_seed_gives_the_same_tasks() -> None:
    for family in FAMILIES:
        difficulty = FAMILIES[family].difficulties[0]
        assert tasks(family, difficulty, seed=3) == tasks(family, difficulty, seed=3)
        assert tasks(family, difficulty, seed=3) != tasks(family, difficulty, seed=4)


def test_no_step_is_idle() -> None:
    for task in tasks("program", 4, 500):
        assert all(a != b for a, b in pairwise(task.data["operations"]))
    for task in tasks("lookup", 3, 1000):
        stops = [m["content"] for m in demonstrate(task, "full") if m["role"] == "tool"]
        assert len({task.data["start"], *stops}) == 4, "a stop comes twice: a guess could be right"


def test_difficulty_is_the_number_of_steps() -> None:
    for difficulty in range(2, 6):
        for task in tasks("sum", difficulty):
            assert len(task.data["operands"]) == difficulty
    for family in ("calculator", "lookup"):
        for difficulty in FAMILIES[family].difficulties:
            for task in tasks(family, difficulty):
                calls = [m for m in demonstrate(task, "full") if m.get("tool_calls")]
                assert len(calls) == difficulty
    for task in tasks("program", 3):
        assert len(task.data["operations"]) == 3 and 4 <= len(task.data["digits"]) <= 5
    for task in tasks("sort", 9):
        assert len(task.data["digits"]) == 9


@pytest.mark.parametrize(
    ("family", "difficulty", "data", "texts"),
    [
        (
            "sum",
            4,
            {"operands": [7, 5, 9, 4]},
            ("Add 7+5+9+4.", "= 7+5=12 12+9=21 21+4=25", ": 12 21 25", "25"),
        ),
        ("sum", 2, {"operands": [3, 4]}, ("Add 3+4.", "= 3+4=07", ": 07", "7")),
        (
            "program",
            2,
            {"operations": ["rev", "sort"], "digits": "48213"},
            ("Apply rev, sort to 48213.", "= rev 31284 sort 12348", ": 12348", "12348"),
        ),
        ("reverse", 5, {"operations": ["rev"], "digits": "48213"}, (None, "= rev 31284", ": 31284", "31284")),
        ("program", 1, {"operations": ["rot"], "digits": "48213"}, (None, "= rot 82134", ": 82134", "82134")),
        (
            "program",
            1,
            {"operations": ["swap"], "digits": "48213"},
            (None, "= swap 38214", ": 38214", "38214"),
        ),
    ],
)
def test_wording(family: str, difficulty: int, data: dict[str, object], texts: tuple[str, ...]) -> None:
    question, full, short, answer = texts
    kind = FAMILIES[family]
    assert question is None or kind.question(data) == question
    for style, thought in (("full", full), ("short", short), ("direct", None)):
        (message,) = kind.demonstrate(data, style)  # type: ignore[arg-type]
        assert (message.get("reasoning_content"), message["content"]) == (thought, answer)


def test_plain_text() -> None:
    def text(family: str, style: str, data: dict[str, object]) -> str:
        kind = FAMILIES[family]
        user = {"role": "user", "content": kind.question(data)}
        task = Task("t", kind.domain, family, 1, "train", (user,), kind.answer(data), data)
        return plain_text(task, style)  # type: ignore[arg-type]

    sums = {"operands": [7, 5]}
    assert text("sum", "full", sums) == "Question: Add 7+5.\nThought: = 7+5=12\nAnswer: 12\n"
    assert text("sum", "direct", sums) == "Question: Add 7+5.\nAnswer: 12\n"
    product = {"terms": ["47", "*83"]}
    assert text("calculator", "full", product) == (
        "Question: Compute 47*83.\nThought: = 47*83\nCall: calculate 47*83\nResult: 3901\n"
        "Thought: = 3901\nAnswer: 3901\n"
    )
    assert text("calculator", "short", product) == (
        "Question: Compute 47*83.\nThought: : 47*83\nAnswer: 3901\n"
    )
    two = text("calculator", "direct", {"terms": ["47", "*83", "+256"]})
    assert two == (
        "Question: Compute 47*83+256.\nCall: calculate 47*83\nResult: 3901\n"
        "Call: calculate 3901+256\nResult: 4157\nAnswer: 4157\n"
    )


def test_tool_tasks_share_their_system_message_and_others_have_none() -> None:
    systems = [sample_task(f, 1, random.Random(0), "train").messages[0] for f in families_of("tool")]
    assert systems[0] == systems[1]
    assert [tool["function"]["name"] for tool in systems[0]["tools"]] == ["calculate", "lookup"]
    for family in families_of("math") + families_of("logic"):
        assert [m["role"] for m in tasks(family, 4, 1)[0].messages] == ["user"]


def test_a_wrong_request_says_what_exists() -> None:
    rng = random.Random(0)
    with pytest.raises(TaskError, match=r"'chess'.*sum.*lookup"):
        sample_task("chess", 1, rng, "train")
    with pytest.raises(TaskError, match=r"difficulty of sum is 13.*2, 3, 4, 5"):
        sample_task("sum", 13, rng, "train")
    with pytest.raises(TaskError, match=r"'test'.*train, heldout"):
        sample_task("sum", 2, rng, "test")  # type: ignore[arg-type]
    with pytest.raises(TaskError, match=r"'long'.*full, short, direct"):
        demonstrate(tasks("sum", 2)[0], "long")  # type: ignore[arg-type]


def test_sampling_is_fast() -> None:
    for family, difficulty in (("sum", 4), ("program", 4), ("calculator", 2), ("lookup", 2)):
        started = time.process_time()
        tasks(family, difficulty, 1000)
        # 5,000 a second are wanted and some 100,000 measured; the rest is room for a busy machine.
        assert time.process_time() - started < 0.2
