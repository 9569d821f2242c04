"""From outcomes to advantages, group by group."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def penalized_rewards(outcomes: Floats, lengths: NDArray[np.int64], weight: float) -> Floats:
    """Outcomes [G] of one group less `weight` x length / longest x share solved, where the answer is correct.

    Only correct answers pay: a penalty on wrong ones teaches to give up early, and the mode of thinking dies out.
    The share solved keeps hard prompts, where thinking is needed, nearly free of it.
    """
    longest = max(1, int(lengths.max(initial=1)))
    return outcomes - weight * outcomes * outcomes.mean() * lengths / longest


def group_advantages(rewards: Floats) -> Floats:
    """A_i = R_i - mean(R) of one group [G] (V3.2 report, sec. 3.1: no division by the standard deviation)."""
    return rewards - rewards.mean()
