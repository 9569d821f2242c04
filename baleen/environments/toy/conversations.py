"""The tasks of one conversation: what a user asks turn by turn, to train on and to measure with."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

from baleen.environments.registry import demonstrate, draw_task, family_of, sample_task
from baleen.environments.task import Split, Task
from baleen.environments.toy.lookup import Lookup
from baleen.environments.toy.world import SYSTEM_MESSAGE


def sample_conversation(
    difficulties: Mapping[str, Sequence[int]],
    turns: int,
    rng: random.Random,
    split: Split,
    weights: Sequence[float] | None = None,
    last: Mapping[str, Sequence[int]] | None = None,
) -> list[Task]:
    """One task per turn, each of a family of the suite drawn at random; the same `rng` state gives the same tasks.

    The conversation opens with the first task's `messages`; every later turn adds the last message of its own task.
    If any turn needs a tool, all tasks begin with the system message that offers the tools, since a conversation
    offers them from its start, and all have one store (`data["salt"]`), which every look-up reads.

    Args:
        difficulties: family -> difficulties, which are drawn evenly.
        weights: how often each family is drawn, in the order of `difficulties`; evenly by default.
        last: the families and difficulties of the last turn, where they are others than those of the turns before.

    Raises:
        TaskError: an unknown family, difficulty or split.
    """
    store = str(sample_task("lookup", 1, rng, split).data["salt"])  # held out or not as `split` wants
    lookup = Lookup(store)
    names = rng.choices(list(difficulties), weights, k=turns)
    levels = [difficulties] * turns
    if last is not None:
        names[-1], levels[-1] = rng.choice(list(last)), last
    kinds = [lookup if name == lookup.name else family_of(name) for name in names]
    tasks = [
        draw_task(kind, rng.choice(of_turn[kind.name]), rng, split)
        for kind, of_turn in zip(kinds, levels, strict=True)
    ]
    if not any(kind.uses_tools for kind in kinds):
        return tasks
    return [
        replace(task, messages=(SYSTEM_MESSAGE, task.messages[-1]), data={**task.data, "salt": store})
        for task in tasks
    ]


def follow_up(tasks: Sequence[Task]) -> Task:
    """The last task of a conversation, asked after the ones before it were answered right.

    The earlier answers are written without thinking, which a new user message leaves out (V3.2 report, "Thinking in
    Tool-Use").
    """
    *earlier, last = tasks
    messages = list(last.messages[:-1])
    for task in earlier:
        messages += [task.messages[-1], *demonstrate(task, "direct")]
    return replace(last, messages=(*messages, last.messages[-1]))
