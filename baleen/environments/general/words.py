"""Names and numbers that the domains draw from."""

import random
from collections.abc import Sequence
from itertools import pairwise

PEOPLE = (
    "Ada Ben Cleo Dan Eva Finn Gus Hana Ivo June Kai Lea Max Nora Otto Pia Quin Rosa Sam Tess Udo Vera Will Xena "
    "Yara Zoe Alma Bert Cara Dina Emil Fay Gina Hugo Ines Joel Kira Liam Mila Noah"
).split()
CITIES = (
    "Oslo Rome Lima Cairo Delhi Paris Tokyo Quito Sofia Turin Bern Kyiv Riga Malmo Porto Genoa Dakar Hanoi Perth "
    "Leeds"
).split()
COLOURS = "red blue green black white grey amber pink brown violet".split()
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri")


def ids(rng: random.Random, n: int, low: int = 10, high: int = 100) -> list[int]:
    """n different numbers, ascending."""
    return sorted(rng.sample(range(low, high), n))


def some(rng: random.Random, words: Sequence[str], n: int) -> list[str]:
    """n different words."""
    return rng.sample(list(words), n)


def spread(rng: random.Random, values: Sequence[int] | Sequence[str], n: int) -> list:
    """n values, each of `values` about as often as the others, in random order."""
    dealt = [values[i % len(values)] for i in range(n)]
    rng.shuffle(dealt)
    return dealt


def different(rng: random.Random, n: int, low: int, high: int, gap: int = 1) -> list[int]:
    """n different numbers in random order, at least `gap` apart."""
    while True:
        values = sorted(rng.sample(range(low, high), n))
        if all(b - a >= gap for a, b in pairwise(values)):
            rng.shuffle(values)
            return values
