"""Medians, ratios and the crossing that the report reads from cost.json."""

import random

import pytest

from baleen.evaluation.intervals import Interval
from baleen.evaluation.timing import median_interval, quotient
from baleen.report.decode_times import DecodeTimes
from tests.report.synthetic_run import cost


def test_the_medians_interval_by_hand() -> None:
    """Of 21 values the sign test's interval is the 6th to the 16th: P(Bin(21, 1/2) <= 5) = .0133, <= 6: .0392."""
    assert median_interval([float(n) for n in range(21, 0, -1)]) == Interval(11.0, 6.0, 16.0)
    assert median_interval([3.0]) == Interval(3.0, 3.0, 3.0)
    assert median_interval([2.0, 1.0, 9.0]) == Interval(2.0, 1.0, 9.0)


def test_the_medians_interval_covers() -> None:
    rng = random.Random(0)
    found = [median_interval([rng.expovariate(1.0) for _ in range(21)]) for _ in range(2000)]
    covered = sum(interval.low <= 0.6931 <= interval.high for interval in found) / len(found)
    assert 0.955 < covered < 0.99  # 97.3 % by the ranks


def test_a_quotient_of_independent_figures() -> None:
    assert quotient(Interval(8.0, 4.0, 16.0), Interval(2.0, 2.0, 2.0)) == pytest.approx((4.0, 2.0, 8.0))
    wide = quotient(Interval(8.0, 4.0, 16.0), Interval(2.0, 1.0, 4.0))
    assert wide == pytest.approx((4.0, 4 / 2**2**0.5, 4 * 2**2**0.5))


def test_where_dsa_becomes_the_faster_one() -> None:
    """0.5 + 0.004 p = 0.55 + 0.128 + 0.0013 p at p = 65.9; interpolated between 64 and 128 on log scales."""
    times = DecodeTimes.of(cost(random.Random(0)))
    assert times is not None and times.crossing is not None
    crossing = times.crossing
    assert crossing.low < crossing.estimate < crossing.high
    assert crossing.estimate == pytest.approx(66, abs=6)


def test_dsa_that_is_never_faster_has_no_crossing() -> None:
    values = cost(random.Random(0))
    values["ms"]["dsa"] = values["ms"]["dense"]
    slower = DecodeTimes.of(values)
    assert slower is not None and slower.crossing is None


def test_growth_is_over_the_position_of_index_topk() -> None:
    times = DecodeTimes.of(cost(random.Random(0)))
    assert times is not None
    dense, given = times.growth("dense"), times.growth("given")
    assert dense is not None and given is not None
    assert dense.estimate == pytest.approx((0.5 + 0.004 * 4096) / (0.5 + 0.004 * 32), rel=0.03)
    assert given.low < 1.02 and given.high > 0.98
    assert DecodeTimes.of({"positions": [1], "dense_ms": [2.0]}) is None and DecodeTimes.of(None) is None
