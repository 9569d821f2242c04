"""Names and numbers that the domains draw from."""

import random
from collections.abc import Sequence
from itertools import pairwise


def _listed(text: str) -> list[str]:
    return text.split()


PEOPLE = _listed(
    "Ada Ben Cleo Dan Eva Finn Gus Hana Ivo June Kai Lea Max Nora Otto Pia Quin Rosa Sam Tess Udo Vera Will Xena "
    "Yara Zoe Alma Bert Cara Dina Emil Fay Gina Hugo Ines Joel Kira Liam Mila Noah"
)
CITIES = _listed(
    "Oslo Rome Lima Cairo Delhi Paris Tokyo Quito Sofia Turin Bern Kyiv Riga Malmo Porto Genoa Dakar Hanoi Perth "
    "Leeds"
)
COLOURS = _listed("red blue green black white grey amber pink brown violet")
BOOKS = _listed(
    "Atlas Beacon Comet Delta Echoes Falcon Glacier Horizon Island Jungle "
    "Kraken Lantern Meadow Nebula Oasis Pilgrim "
    "Quarry Raven Saga Tundra"
)
CLASSES = _listed("yoga boxing rowing spin dance judo pilates karate swim climb stretch squash")
COMPONENTS = _listed("parser cache editor search login export mailer billing")
DISHES = _listed("soup stew curry pasta salad risotto quiche ramen paella tart pie omelette gratin dumplings")
FIELDS = _listed("heart skin bones eyes lungs nerves")
FOODS = _listed(
    "rice beans flour eggs milk butter onion tomato basil lemon honey pepper carrot leek oats cream"
)
HOTELS = _listed("Astra Bellevue Corona Drake Eden Fjord Garni Harbour Ibex Jade")
PARTS = _listed("bolt hinge valve cable lamp fuse gear motor panel spring switch tube pump rope hook clamp")
SHOWS = _listed(
    "Aida Boheme Carmen Duel Elektra Fidelio Galileo Hamlet Ivanov Jenufa Lulu Macbeth Norma Oberon"
)
SUBJECTS = _listed("maths music history physics art latin biology sports")
WORKS = _listed(
    "Dawn Harvest Nocturne Orchard Regatta Sonata Tempest Umbra Vigil Winter Zephyr Mirage Lagoon Ember"
)
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
