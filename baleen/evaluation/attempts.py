"""Several independent attempts at one task: their seeds, and what they tell."""

import zlib
from math import comb


def pass_at_k(attempts: int, solved: int, k: int) -> float:
    """Unbiased chance that at least one of k attempts solves the task: 1 - C(n-c, k) / C(n, k).

    Source: Chen et al., "Evaluating large language models trained on code", 2021, equation 1.

    Args:
        attempts: n, how often the task was attempted.
        solved: c, how many of the attempts solved it.
        k: at most `attempts`.
    """
    assert 0 <= solved <= attempts and 0 < k <= attempts, f"{solved} of {attempts} attempts, k = {k}"
    return 1.0 - comb(attempts - solved, k) / comb(attempts, k)


def attempt_seed(seed: int, task_id: str, number: int) -> int:
    """The seed of the `number`-th attempt at a task, whatever other tasks and attempts are played beside it."""
    return zlib.crc32(f"{seed} {number} {task_id}".encode())
