"""The tasks that stages are compared on: held out, distinct, and all there are where there are few."""

import itertools

from baleen.environments.task import split_of
from baleen.stages.curriculum import held_out_tasks


def test_no_task_is_asked_twice():
    told: list[str] = []
    kinds = {"sum": [3, 3, 4], "program": [1, 2, 3], "calculator": [1], "lookup": [1, 2]}
    tasks = held_out_tasks(kinds, 86, 0, told.append)
    assert len({task.id for task in tasks}) == len(tasks)
    count = {kind: 0 for kind in ((t.family, t.difficulty) for t in tasks)}
    for task in tasks:
        assert task.split == "heldout"
        count[task.family, task.difficulty] += 1
    every = itertools.product(range(1, 10), repeat=3)
    exist = sum(split_of("sum", "+".join(map(str, sorted(one)))) == "heldout" for one in every)
    assert count.pop(("sum", 3)) == exist < 172
    assert set(count.values()) == {86}
    assert told == [f"sum of difficulty 3 has {exist} held-out tasks, not 172: all are asked"]


def test_the_same_seed_asks_the_same():
    kinds = {"sum": [4], "general": [1]}
    first, again, other = (held_out_tasks(kinds, 10, seed) for seed in (0, 0, 1))
    assert [task.id for task in first] == [task.id for task in again] != [task.id for task in other]
    assert len({task.id for task in first}) == 20
