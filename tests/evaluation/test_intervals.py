"""Score intervals against published examples, their limits, and their coverage by simulation."""

import math
import random

import pytest

from baleen.evaluation.intervals import (
    Interval,
    bootstrap_mean,
    newcombe,
    newcombe_paired,
    paired_ratio,
    sum_of_independent,
    wilson,
    wilson_mean,
)


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(correct: int, n: int, low: float, high: float) -> None:
    interval = wilson(correct, n)
    assert interval.estimate == correct / n
    assert interval.low == pytest.approx(low, abs=5e-5)
    assert interval.high == pytest.approx(high, abs=5e-5)


def test_a_mean_of_rewards_has_the_interval_of_a_share() -> None:
    assert wilson_mean([1.0, 0.5, 0.5, 0.0]) == wilson(2, 4)
    assert wilson_mean([1.0] * 9).low < 1.0 and math.isnan(wilson_mean([]).estimate)


def test_newcombe_gives_the_published_interval() -> None:
    interval = newcombe(56, 70, 48, 80)  # Newcombe 1998, table II, example a, method 10
    assert (interval.low, interval.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert interval.clear_of_zero


def test_bounds_hold_the_estimate_at_the_edges() -> None:
    for n in (1, 3, 7, 49, 256, 1000):
        for correct in (0, n):
            low, high = wilson(correct, n)[1:]
            assert 0.0 <= low <= correct / n <= high <= 1.0
            assert high - low > 0


def test_nothing_measured_is_nothing_known() -> None:
    assert wilson(0, 0)[1:] == (0.0, 1.0)
    assert not newcombe(0, 0, 3, 5).clear_of_zero
    assert not newcombe_paired([], []).clear_of_zero
    assert math.isnan(bootstrap_mean([]).estimate)


def test_paired_is_narrower_where_the_two_agree_and_reverses_with_them() -> None:
    after = [True] * 60 + [True] * 8 + [False] * 1 + [False] * 31
    before = [True] * 60 + [False] * 8 + [True] * 1 + [False] * 31
    paired, unpaired = newcombe_paired(after, before), newcombe(68, 100, 61, 100)
    assert paired.estimate == pytest.approx(unpaired.estimate) == pytest.approx(0.07)
    assert paired.clear_of_zero and not unpaired.clear_of_zero
    back = newcombe_paired(before, after)
    assert (-back.high, -back.low) == pytest.approx((paired.low, paired.high))


def test_paired_without_disagreement_still_has_width() -> None:
    low, high = newcombe_paired([True] * 30, [True] * 30)[1:]
    assert low < 0 < high


def test_paired_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = random.Random(0)

    def draw() -> Interval:
        items = [rng.random() for _ in range(60)]  # a common difficulty: the pairs are correlated
        return newcombe_paired(
            [rng.random() < 0.25 + 0.6 * x for x in items], [rng.random() < 0.1 + 0.6 * x for x in items]
        )

    inside = sum(interval.low <= 0.15 <= interval.high for interval in (draw() for _ in range(1500)))
    assert 0.93 <= inside / 1500 <= 0.985


def test_bootstrap_is_repeatable_and_near_the_normal_interval() -> None:
    rng = random.Random(1)
    values = [rng.gauss(20.0, 4.0) for _ in range(200)]
    interval = bootstrap_mean(values)
    assert interval == bootstrap_mean(values)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 4 / math.sqrt(200), rel=0.15)
    assert interval.low < interval.estimate < interval.high


def test_impossible_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="correct=5"):
        wilson(5, 4)
    with pytest.raises(ValueError, match="pair the same items"):
        newcombe_paired([True], [])
    with pytest.raises(ValueError, match="level=95"):
        wilson(1, 2, level=95)


def test_a_ratio_of_sums_by_hand() -> None:
    """above 3, 5, 4, 8 over below 2, 2, 2, 4: ratio 2, residuals -1, 1, 0, 0, variance 2 * 4/3, t(3) = 3.18."""
    found = paired_ratio([3, 5, 4, 8], [2, 2, 2, 4])
    factor = math.exp(3.182 * math.sqrt(2 * 4 / 3) / 20)
    assert found.estimate == 2
    assert (found.low, found.high) == pytest.approx((2 / factor, 2 * factor), rel=0.004)


@pytest.mark.parametrize(("items", "quantile"), [(6, 2.5706), (8, 2.3646), (16, 2.1314), (31, 2.0423)])
def test_the_ratios_width_is_students(items: int, quantile: float) -> None:
    above = [1.0 + (-1) ** i * 0.1 for i in range(items)]
    ratio = sum(above) / items
    spread = math.sqrt(sum((a - ratio) ** 2 for a in above) * items / (items - 1)) / items
    assert paired_ratio(above, [1.0] * items).high == pytest.approx(
        ratio * math.exp(quantile * spread / ratio), rel=1e-3
    )


def test_a_ratio_is_never_negative_however_noisy() -> None:
    found = paired_ratio([0.1, 0.1, 0.1, 9.0], [0.1, 0.1, 0.1, 0.1])
    assert 0 < found.low < found.estimate < found.high


def test_what_pairs_share_cancels_in_their_ratio() -> None:
    below = [1.0, 5.0, 9.0, 20.0]
    assert paired_ratio([2 * value for value in below], below) == pytest.approx((2, 2, 2))
    assert math.isnan(paired_ratio([1.0], [1.0]).low) and math.isnan(paired_ratio([], []).estimate)
    with pytest.raises(ValueError, match="pair the same items"):
        paired_ratio([1.0, 2.0], [1.0])


def test_the_sum_of_independent_estimates_adds_squares() -> None:
    found = sum_of_independent([Interval(0.1, -0.2, 0.2), Interval(0.3, -0.1, 0.6)])
    assert found == pytest.approx((0.4, 0.4 - 0.5, 0.4 + math.sqrt(0.1)))
    one, other = wilson(56, 70), wilson(48, 80)
    negative = Interval(-other.estimate, -other.high, -other.low)
    assert sum_of_independent([one, negative]) == pytest.approx(newcombe(56, 70, 48, 80))
