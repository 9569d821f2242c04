"""Long searches with the look-up tool: which key of a range points to a given key? Only trying tells.

They are for measuring what an agent does in a window that is too small for them, not for training: nothing in a store
hints at the key, so the number of look-ups, and with it the length of an episode, is set by the range.
"""

import random

from baleen.environments.task import Task, split_of
from baleen.environments.toy.lookup import next_key
from baleen.environments.toy.world import SYSTEM_MESSAGE


def hunt(candidates: int, rng: random.Random) -> Task:
    """A task whose answer is one of so many keys, at most 900; exactly one of them points to the key in question."""
    while True:
        salt = f"{rng.getrandbits(40):010x}"
        first = rng.randrange(100, 1001 - candidates)
        keys = [str(key) for key in range(first, first + candidates)]
        reached = [next_key(salt, key) for key in keys]
        answer = rng.randrange(candidates)
        if reached.count(reached[answer]) == 1:
            break
    question = (
        f"Which key from {keys[0]} to {keys[-1]} points to {reached[answer]}? Exactly one of them does."
    )
    return Task(
        id=f"hunt-{candidates}-{salt}",
        domain="tool",
        family="hunt",
        difficulty=candidates,
        split=split_of("hunt", salt),
        messages=(SYSTEM_MESSAGE, {"role": "user", "content": question}),
        answer=keys[answer],
        data={"salt": salt},
    )
