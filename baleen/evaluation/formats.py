"""Numbers as a person writes them; the spaces inside are non-breaking."""

import math


def duration(seconds: float) -> str:
    """9.3 s, 45 s, 4 min 05 s, 2 h 03 min."""
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


def percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f}\u00a0%"


def figures(number: float, count: int = 3) -> str:
    """`count` significant figures, powers of ten for what is very small or large; a dash for nan."""
    if math.isnan(number):
        return "–"
    if number == 0 or 1e-3 <= abs(number) < 1e4:
        return f"{number:.{count}g}"
    digits, exponent = f"{number:.{count - 1}e}".split("e")
    power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits}\u202f×\u202f10{power}"
