"""How certain a measured figure is: score intervals of proportions and their differences, of ratios and of means.

Sources: Wilson 1927; Newcombe, "Interval estimation for the difference between independent proportions" and
"Improved confidence intervals for the difference between binomial proportions based on paired data", both
Statistics in Medicine 17 (1998), method 10 of each. They stay inside their range and cover well at 0 and 1,
where the textbook interval has no width.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """An estimate and its confidence interval.

    Attributes:
        estimate: the figure itself.
        low: lower bound.
        high: upper bound.
    """

    estimate: float
    low: float
    high: float

    @property
    def clear_of_zero(self) -> bool:
        """Whether 0 lies outside the interval."""
        return self.low > 0 or self.high < 0


def wilson(correct: float, n: int, level: float = 0.95) -> Interval:
    """Score interval of the proportion `correct / n`; if n is 0, all of [0, 1] around nan."""
    if n <= 0:
        return Interval(math.nan, 0.0, 1.0)
    _check(0 <= correct <= n, f"correct={correct} is not within 0 and n={n}")
    z = _z(level)
    p = correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    # Rounding must not push a bound past an estimate that lies on it.
    return Interval(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)))


def wilson_mean(values: Sequence[float], level: float = 0.95) -> Interval:
    """Score interval of the mean of values in [0, 1]; wider than needed if they are not all 0 or 1."""
    return wilson(math.fsum(values), len(values), level)


def newcombe(correct: float, n: int, correct_before: float, n_before: int, level: float = 0.95) -> Interval:
    """Interval of the rise `correct/n - correct_before/n_before` between two independent samples."""
    after, before = wilson(correct, n, level), wilson(correct_before, n_before, level)
    if n <= 0 or n_before <= 0:
        return Interval(math.nan, -1.0, 1.0)
    return _difference(after, before, 0.0)


def newcombe_paired(after: Sequence[bool], before: Sequence[bool], level: float = 0.95) -> Interval:
    """Interval of the rise in accuracy between two attempts at the same items, in the same order.

    Pairing removes the items' difficulty from the comparison, so the interval is narrower than that of `newcombe` if
    the two mostly agree.
    """
    n = len(after)
    _check(n == len(before), f"after has {n} items, before has {len(before)}; pair the same items")
    if n == 0:
        return Interval(math.nan, -1.0, 1.0)
    both = sum(a and b for a, b in zip(after, before, strict=True))
    gained, lost = sum(map(bool, after)) - both, sum(map(bool, before)) - both
    neither = n - both - gained - lost
    margins = math.prod((both + gained, lost + neither, both + lost, gained + neither))
    product = both * neither - gained * lost
    if product > 0:  # continuity correction of the correlation
        product = max(product - n / 2, 0.0)
    phi = product / math.sqrt(margins) if margins else 0.0
    return _difference(wilson(both + gained, n, level), wilson(both + lost, n, level), phi)


def sum_of_independent(parts: Sequence[Interval]) -> Interval:
    """Interval of the sum of independent estimates: the distances to their bounds are squared and added (MOVER).

    Source: Zou and Donner, "Construction of confidence limits about effect measures", Statistics in Medicine 27
    (2008). Newcombe's difference is the case of two parts.
    """
    estimate = sum(part.estimate for part in parts)
    below = math.sqrt(sum((part.estimate - part.low) ** 2 for part in parts))
    above = math.sqrt(sum((part.high - part.estimate) ** 2 for part in parts))
    return Interval(estimate, estimate - below, estimate + above)


def paired_ratio(above: Sequence[float], below: Sequence[float], level: float = 0.95) -> Interval:
    """Interval of sum(above) / sum(below) for items that were measured both ways.

    Student's t on the residuals `above - ratio * below` (Cochran, Sampling Techniques, ch. 6, ratio estimators), on the
    logarithm of the ratio (delta method), so that no bound is negative. Whatever makes an item large both ways, such as
    its difficulty, cancels.

    Args:
        above: numerators, one per item.
        below: denominators, in the same order.
        level: confidence.

    Returns:
        The interval; all nan for fewer than two items and for sums that are not positive.
    """
    over, under = (np.asarray(values, dtype=np.float64) for values in (above, below))
    n = over.size
    _check(n == under.size, f"above has {n} items, below has {under.size}; pair the same items")
    if n < 2 or under.sum() <= 0 or over.sum() <= 0:
        return Interval(math.nan, math.nan, math.nan)
    ratio = float(over.sum() / under.sum())
    variance = float(((over - ratio * under) ** 2).sum()) * n / (n - 1)
    factor = math.exp(_t(level, n - 1) * math.sqrt(variance) / float(over.sum()))
    return Interval(ratio, ratio / factor, ratio * factor)


def bootstrap_mean(
    values: Sequence[float], level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval:
    """Percentile interval of the mean, for quantities without a formula, such as token counts.

    Args:
        values: the sample; for a paired difference, the differences.
        level: confidence.
        resamples: number of bootstrap samples.
        seed: the same values and seed give the same interval.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size == 0:
        return Interval(math.nan, math.nan, math.nan)
    generator = np.random.default_rng(seed)
    means = [generator.choice(sample, sample.size).mean() for _ in range(resamples)]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(sample.mean()), float(low), float(high))


def _difference(after: Interval, before: Interval, phi: float) -> Interval:
    """Newcombe's square-and-add of the distances to the score bounds; `phi` correlates the two."""
    down, up = after.estimate - after.low, after.high - after.estimate
    down_before, up_before = before.estimate - before.low, before.high - before.estimate
    estimate = after.estimate - before.estimate
    below = math.sqrt(max(0.0, down**2 - 2 * phi * down * up_before + up_before**2))
    above = math.sqrt(max(0.0, up**2 - 2 * phi * up * down_before + down_before**2))
    return Interval(estimate, estimate - below, estimate + above)


def _z(level: float) -> float:
    _check(0 < level < 1, f"level={level} is not between 0 and 1; 0.95 is usual")
    return NormalDist().inv_cdf((1 + level) / 2)


def _t(level: float, freedom: int) -> float:
    """Student's quantile by its expansion around the normal one; within 0.1 % from 5 degrees of freedom on."""
    z = _z(level)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, 1))


def _check(ok: bool, message: str) -> None:
    if not ok:
        raise ValueError(message)
