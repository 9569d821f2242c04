"""Repeated measurements: their median and spread, and the ratio of two that were taken in turns."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """What repeats of one measurement gave, in its unit and in their order; at least one."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Half the range as a share of the median: 0.05 reads "±5 %"."""
        return (max(self.values) - min(self.values)) / 2 / self.median


def ratio(over: Sequence[float], under: Sequence[float]) -> Sample:
    """`over` / `under` round by round, so that a machine slow in one round is slow on both sides of its ratio.

    A contender that ended early has fewer rounds: the surplus of the other is left out.
    """
    return Sample(tuple(a / b for a, b in zip(over, under, strict=False)))
