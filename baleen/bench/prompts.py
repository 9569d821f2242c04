"""The prompts of a run, the same in every process: token ids by a seed, from the plain part of the vocabulary."""

import random

_FIRST = 3  # begin and end of a sentence, and what may stand beside them, are not drawn


def prompt(vocab_size: int, length: int, seed: int) -> list[int]:
    """`length` token ids. A longer prompt of the same seed begins with the shorter one."""
    draw = random.Random(seed)
    return [draw.randrange(_FIRST, vocab_size) for _ in range(length)]
