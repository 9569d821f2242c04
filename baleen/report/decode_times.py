"""What `cost.json` holds: the times of a decode step by position, and what they say of dense and sparse attention."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from baleen.evaluation.intervals import Interval
from baleen.evaluation.timing import median_interval, quotient, ratio


@dataclass(frozen=True)
class DecodeTimes:
    """Processor time of a decode step of `sequences` sequences, each at one position, on one thread.

    ms: milliseconds [positions][rounds], by reader and part. Readers: "dense", "dsa", and with kernels "given", DSA
    that is told what to read. Parts: "step" and "attention", the latter with projections and indexer.
    """

    topk: int
    positions: tuple[int, ...]
    sequences: int
    kernels: bool
    ms: Mapping[str, Mapping[str, list[list[float]]]]

    @classmethod
    def of(cls, cost: Mapping[str, Any] | None) -> "DecodeTimes | None":
        """From the content of cost.json; None where there is none, or one that another version wrote."""
        if not cost or "ms" not in cost:
            return None
        names = ("sequences", "kernels", "ms")
        return cls(cost["index_topk"], tuple(cost["positions"]), *(cost[name] for name in names))

    def medians(self, reader: str, part: str) -> list[Interval]:
        """The median at each position and its 95 % interval."""
        return [median_interval(rounds) for rounds in self.ms[reader][part]]

    def dense_over_dsa(self, part: str) -> list[Interval]:
        """How many times longer dense takes at each position, round by round: the two took turns."""
        pairs = zip(self.ms["dense"][part], self.ms["dsa"][part], strict=True)
        return [median_interval(ratio(dense, dsa).values) for dense, dsa in pairs]

    def growth(self, reader: str) -> Interval | None:
        """Attention's time at the last position over that at index_topk."""
        if reader not in self.ms or self.topk not in self.positions:
            return None
        times = self.medians(reader, "attention")
        return quotient(times[-1], times[self.positions.index(self.topk)])

    @property
    def crossing(self) -> Interval | None:
        """From which position on DSA's attention, indexer included, is the faster one; None where it never is.

        The bounds are the crossings of the bounds of the ratio.
        """
        ratios = [
            (p, r)
            for p, r in zip(self.positions, self.dense_over_dsa("attention"), strict=True)
            if p >= self.topk
        ]
        at, earliest, latest = (
            _crossing([(p, getattr(r, bound)) for p, r in ratios]) for bound in ("estimate", "high", "low")
        )
        return None if math.isinf(at) else Interval(at, earliest, latest)


def _crossing(points: list[tuple[int, float]]) -> float:
    """Where the last rise of the (position, ratio) points through 1 lies, on log scales; the first position if all are
    above, infinity if the last is not."""
    if points[-1][1] <= 1:
        return math.inf
    for (left, below), (right, above) in reversed(list(pairwise(points))):
        if below <= 1 < above:
            share = -math.log(below) / (math.log(above) - math.log(below))
            return left * (right / left) ** share
    return float(points[0][0])
