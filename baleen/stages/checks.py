"""One check of a stage: a figure, with its interval, against a bound.

A check fails only if its whole 95 % interval lies on the wrong side of the bound. If the interval contains the bound,
the check is uncertain, and `n_needed` says about how many held-out items would decide it. A figure without an interval
is compared as it is.
"""

import math
from collections.abc import Sequence
from typing import Any

from baleen.config.recipe import Recipe
from baleen.evaluation.intervals import Interval

Check = dict[str, Any]


def check(
    name: str,
    found: Interval | float,
    relation: str,
    bound: float,
    hint: str,
    n: int | None = None,
    change: tuple[str, float] | None = None,
) -> Check:
    """Make a check: `found` `relation` `bound`.

    Args:
        name: what was measured.
        found: the figure.
        relation: ">", ">=" or "<=".
        bound: what it is compared with.
        hint: what to do if the check fails.
        n: held-out items that were measured.
        change: the key of the recipe to change if it fails, as `stage.key`, and the factor.

    Returns:
        The check as a stage records it; its `state` is "passed", "uncertain" or "failed".
    """
    has_interval = isinstance(found, Interval)
    interval = found if isinstance(found, Interval) else Interval(found, found, found)
    state = _state(interval, relation, bound)
    return {
        "name": name,
        "estimate": finite(interval.estimate),
        "low": finite(interval.low) if has_interval else None,
        "high": finite(interval.high) if has_interval else None,
        "bound": bound,
        "relation": relation,
        "state": state,
        "n": n,
        "n_needed": _n_needed(interval, bound, n) if state == "uncertain" else None,
        "hint": hint,
        "change": change,
    }


def _state(found: Interval, relation: str, bound: float) -> str:
    """A figure without an interval comes as one without width; one that is not a number has failed."""
    low, high = (-found.high, -found.low) if relation == "<=" else (found.low, found.high)
    bound = -bound if relation == "<=" else bound
    if low > bound or (low == bound and relation != ">"):
        return "passed"
    return "uncertain" if low < high and high >= bound else "failed"


def _n_needed(interval: Interval, bound: float, n: int | None) -> int | None:
    """Items at which the interval, whose width falls as 1/√n, would reach from the estimate to the bound.

    None where no number of items would do: the estimate lies on the bound, or nothing was measured.
    """
    distance = abs(interval.estimate - bound)
    if not n or not distance > 0:  # also where the estimate is nan
        return None
    reach = (
        interval.estimate - interval.low if interval.estimate > bound else interval.high - interval.estimate
    )
    return math.ceil(n * (reach / distance) ** 2)


def judged(checks: list[Check], recipe: Recipe) -> list[Check]:
    """The checks as a stage records them, with `change` as `--set` takes it; none if the recipe is not judged."""
    told = [found | {"change": _setting(recipe, found["change"])} for found in checks]
    return told if recipe.judged else []


def _setting(recipe: Recipe, change: tuple[str, float] | None) -> str | None:
    """`stage.key=value` of the changed value; None where that would change nothing."""
    if change is None:
        return None
    key, factor = change
    name, field = key.split(".")
    value = getattr(recipe.stage(name), field)
    changed = math.ceil(value * factor) if isinstance(value, int) else float(f"{value * factor:.3g}")
    return f"{key}={changed}" if changed != value else None


def overall(checks: Sequence[Check]) -> bool | None:
    """False if a check failed, None if none failed but one is uncertain, else True."""
    states = {found["state"] for found in checks}
    return False if "failed" in states else None if "uncertain" in states else True


def figure(found: Check) -> str:
    """The figure as text, such as `0.35 (0.28 to 0.41)`."""
    estimate = "unknown" if found["estimate"] is None else f"{found['estimate']:.3g}"
    known = found["low"] is not None and found["high"] is not None
    return f"{estimate} ({found['low']:.3g} to {found['high']:.3g})" if known else estimate


def brief(found: Check) -> str:
    """What was measured, the figure and, unless it passed, the state: for the line of a stage."""
    doubt = "" if found["state"] == "passed" else f", {found['state']}"
    return f"{found['name']} {figure(found)}{doubt}"


def to_decide(found: Check) -> str:
    """For an uncertain check: on how many items it was measured, and how many would decide it."""
    if not found["n"]:
        return "nothing was measured"
    if found["n_needed"] is None:
        return f"n = {found['n']}, and the estimate lies on the bound"
    return f"n = {found['n']}, about {found['n_needed']:,} would decide"


def finite(value: float) -> float | None:
    """`value`, or None, which JSON can say, if it is not finite."""
    return value if math.isfinite(value) else None
