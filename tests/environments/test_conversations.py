"""The tasks of a conversation fit together: one opening, one store, the right split, answers that hold."""

import random

import pytest

from baleen.environments import (
    FAMILIES,
    Task,
    TaskError,
    demonstrate,
    environment_for,
    sample_conversation,
    sample_task,
)
from baleen.environments.task import split_of
from baleen.environments.toy.world import SYSTEM_MESSAGE

DIFFICULTIES = {"sum": [3, 4], "program": [1, 2, 3], "calculator": [1], "lookup": [1, 2, 3]}


def conversations(count: int, split: str = "heldout", seed: int = 0, **options) -> list[list[Task]]:
    rng = random.Random(seed)
    return [sample_conversation(DIFFICULTIES, 4, rng, split, **options) for _ in range(count)]


def test_all_turns_have_the_tools_if_one_needs_them_and_none_otherwise() -> None:
    seen = set()
    for tasks in conversations(200):
        needed = any(FAMILIES[task.family].uses_tools for task in tasks)
        seen.add(needed)
        opening = (SYSTEM_MESSAGE,) if needed else ()
        assert all(task.messages[:-1] == opening for task in tasks)
        assert all(task.messages[-1]["role"] == "user" for task in tasks)
    assert seen == {False, True}


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_a_conversation_has_one_store_of_its_split(split: str) -> None:
    stores = []
    for tasks in conversations(100, split):
        salts = {task.data.get("salt") for task in tasks}
        assert len(salts) == 1
        if (salt := salts.pop()) is not None:
            assert split_of("lookup", salt) == split
            stores.append(salt)
        assert all(task.split == split for task in tasks)
    assert len(set(stores)) == len(stores) > 50, "every conversation has a store of its own"


def test_every_look_up_is_right_in_the_store_of_the_first_turn() -> None:
    """One world, that of the first turn, serves the calls of all turns, as one chat does."""
    played = 0
    for tasks in conversations(100):
        world = environment_for(tasks[0])
        for task in tasks:
            expected = []
            messages = demonstrate(task, "full")
            for message in messages:
                if message["role"] == "tool":
                    assert message == expected.pop(0)
                    played += 1
                else:
                    expected = world.step(message)
            assert environment_for(task).score(messages[-1]) == 1.0
    assert played > 100


def test_families_come_evenly_or_by_weight() -> None:
    even = [task.family for tasks in conversations(200) for task in tasks]
    assert all(150 < even.count(family) < 250 for family in DIFFICULTIES)
    only = [task.family for tasks in conversations(20, weights=[0, 1, 0, 0]) for task in tasks]
    assert set(only) == {"program"}


def test_the_same_state_gives_the_same_tasks() -> None:
    assert conversations(5, seed=3) == conversations(5, seed=3) != conversations(5, seed=4)


def test_an_unknown_family_or_difficulty_is_named() -> None:
    for wrong in ({"poems": [1]}, {"sum": [99]}):
        with pytest.raises(TaskError, match=r"poems|99"):
            sample_conversation(wrong, 2, random.Random(0), "train")


def test_single_look_ups_are_drawn_as_before() -> None:
    task = sample_task("lookup", 2, random.Random(0), "heldout")
    assert task.id == "lookup-2-dd71545a13-633-2"
