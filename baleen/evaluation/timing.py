"""Repeated measurements: their median and spread, and the ratio of two that were taken in turns."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from baleen.evaluation.intervals import Interval


@dataclass(frozen=True)
class Sample:
    """Repeats of one measurement.

    Attributes:
        values: the results, in their order and in the measurement's unit; at least one.
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def spread(self) -> float:
        """Half the range as a share of the median: 0.05 reads "±5 %"."""
        return (max(self.values) - min(self.values)) / 2 / self.median


def ratio(over: Sequence[float], under: Sequence[float]) -> Sample:
    """`over` / `under` round by round: a machine that is slow in one round is slow on both sides of that ratio.

    If one has more rounds than the other, the surplus is left out.
    """
    return Sample(tuple(a / b for a, b in zip(over, under, strict=False)))


def median_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """The median of at least one value and its distribution-free interval (of the sign test).

    On a busy machine a few times are far too long, which does not affect order statistics. Fewer than six values cannot
    give 95 %; the interval is then their range.
    """
    ordered, n = sorted(values), len(values)
    rank, below = 0, 0.0  # how many values lie outside on either side, and the chance of that
    while rank < n // 2 and (below := below + math.comb(n, rank) / 2**n) <= (1 - level) / 2:
        rank += 1
    rank = max(rank - 1, 0)
    return Interval(statistics.median(ordered), ordered[rank], ordered[n - 1 - rank])


def quotient(over: Interval, under: Interval) -> Interval:
    """`over` / `under`, positive and measured independently: on the log scale the distances to the bounds are squared
    and added (MOVER, Zou and Donner 2008)."""
    up = math.hypot(math.log(over.high / over.estimate), math.log(under.estimate / under.low))
    down = math.hypot(math.log(over.estimate / over.low), math.log(under.high / under.estimate))
    estimate = over.estimate / under.estimate
    return Interval(estimate, estimate * math.exp(-down), estimate * math.exp(up))
