"""Numbers as a person writes them; the spaces inside are non-breaking."""

import math

from baleen.evaluation.intervals import Interval


def duration(seconds: float) -> str:
    """0.03 s, 9.3 s, 45 s, 4 min 05 s, 2 h 03 min."""
    if 0 < seconds < 0.095:
        return f"{seconds:.1g}\u00a0s"
    if seconds < 9.95:
        return f"{seconds:.1f}\u00a0s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest}\u00a0s"
    if minutes < 60:
        return f"{minutes}\u00a0min\u00a0{rest:02d}\u00a0s"
    return f"{minutes // 60}\u00a0h\u00a0{minutes % 60:02d}\u00a0min"


def short(number: float) -> str:
    """1,234 as 1.23K, 4,200,000 as 4.2M."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if abs(number) >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


def binary_size(count: int) -> str:
    """Bytes as 512 B, 38.1 MiB or 642.1 GiB."""
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.2f} TiB"


def percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f}\u00a0%"


def figures(number: float, count: int = 3) -> str:
    """`count` significant figures, powers of ten for what is very small or large; a dash for nan."""
    if math.isnan(number):
        return "–"
    if number == 0 or 1e-3 <= abs(number) < 1e4:
        return f"{float(f'{number:.{count}g}'):,.10g}"
    digits, exponent = f"{number:.{count - 1}e}".split("e")
    power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits}\u202f×\u202f10{power}"


def times(ratio: Interval) -> str:
    """A ratio with its 95 % interval: "2.7× (2.5 to 2.9)"; the smaller it is, the more decimals it needs."""
    size = abs(ratio.estimate)
    decimals = 2 if size < 2 else 1 if size < 20 else 0
    estimate, low, high = (f"{bound:,.{decimals}f}" for bound in ratio)
    return f"{estimate}× ({low} to {high})"


def points(difference: Interval) -> str:
    """A difference of shares with its 95 % interval, in percentage points: "+34 (+29 to +39)"."""
    estimate, low, high = (_signed(100 * bound, 0) for bound in difference)
    return f"{estimate} ({low} to {high})"


def change(ratio: Interval) -> str:
    """A ratio with its 95 % interval, told as the change that it means: "+0.6 % (−0.1 to +1.3)"."""
    estimate, low, high = (_signed(100 * (bound - 1), 1) for bound in ratio)
    return f"{estimate}\u00a0% ({low} to {high})"


def visible(token: str) -> str:
    """A token's text with its line breaks to be seen."""
    return token.replace("\r", "").replace("\n", "↵\n")


def _signed(number: float, decimals: int) -> str:
    rounded = round(number, decimals) + 0.0  # no -0
    return f"{rounded:+.{decimals}f}".replace("-", "−")
