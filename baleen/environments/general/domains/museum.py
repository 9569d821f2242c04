"""Museums that lend each other works, within limits of space and value."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import CITIES, PEOPLE, WORKS, distinct, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    museums, works = sample(rng, CITIES, max(3, size // 3)), sample(rng, WORKS, size)
    artists = sample(rng, PEOPLE, max(3, size // 2))
    return {
        "museum": [
            (m, rng.randint(1, 4), v)
            for m, v in zip(museums, distinct(rng, len(museums), 50, 99), strict=True)
        ],
        "work": [
            (w, a, m, m, v)
            for w, a, m, v in zip(
                works,
                spread(rng, artists, size),
                spread(rng, museums, size),
                distinct(rng, size, 10, 50),
                strict=True,
            )
        ],
        "artist": [(a, y) for a, y in zip(artists, distinct(rng, len(artists), 1700, 1990), strict=True)],
    }


MUSEUM = DomainSpec(
    name="museum",
    tables={
        "museum": 'name TEXT PRIMARY KEY, space INTEGER, "limit" INTEGER',
        "work": "name TEXT PRIMARY KEY, artist TEXT, owner TEXT, place TEXT, value INTEGER",
        "artist": "name TEXT PRIMARY KEY, born INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool("work_artist", "work", "artist of a work", "SELECT artist FROM work WHERE name = :work"),
        query_tool(
            "work_museum", "work", "museum that has a work", "SELECT place FROM work WHERE name = :work"
        ),
        query_tool("work_value", "work", "value of a work", "SELECT value FROM work WHERE name = :work"),
        query_tool(
            "artist_birth_year",
            "artist",
            "year an artist was born",
            "SELECT born FROM artist WHERE name = :artist",
        ),
        query_tool(
            "museum_space",
            "museum",
            "space left in a museum",
            "SELECT space FROM museum WHERE name = :museum",
        ),
        query_tool(
            "museum_limit",
            "museum",
            "highest value a museum may borrow",
            'SELECT "limit" FROM museum WHERE name = :museum',
        ),
        query_tool(
            "works_by",
            "artist",
            "works by an artist",
            "SELECT name FROM work WHERE artist = :artist ORDER BY 1",
            "column",
        ),
        update_tool(
            "lend",
            "work museum",
            "lend a museum a work",
            [
                ("SELECT 1 FROM work WHERE name = :work", "there is no work {work}"),
                (
                    "SELECT 1 FROM museum WHERE name = :museum AND space > 0",
                    "the {museum} museum has no space left",
                ),
                (
                    "SELECT 1 FROM work WHERE name = :work AND place <> :museum",
                    "the {museum} museum already has {work}",
                ),
                (
                    'SELECT 1 FROM work, museum m WHERE work.name = :work AND m.name = :museum AND value <= "limit"',
                    "{work} is too valuable for the {museum} museum",
                ),
            ],
            [
                "UPDATE museum SET space = space + 1 WHERE name = (SELECT place FROM work WHERE name = :work)",
                "UPDATE work SET place = :museum WHERE name = :work",
                "UPDATE museum SET space = space - 1 WHERE name = :museum",
            ],
            "SELECT space FROM museum WHERE name = :museum",
        ),
    ),
)


@MUSEUM.task(
    1,
    "SELECT name AS work FROM work",
    "Who is the artist of the work {work}?",
    "Which artist created {work}?",
)
def artist(tools: Tools, work: str) -> str:
    return tools.work_artist(work=work)


@MUSEUM.task(
    1,
    "SELECT name AS work FROM work",
    "What is the value of the work {work}?",
    "How much is the work {work} worth?",
)
def value(tools: Tools, work: str) -> int:
    return tools.work_value(work=work)


@MUSEUM.task(
    2,
    "SELECT name AS work FROM work",
    "In which year was the artist of {work} born?",
    "When was the artist who created {work} born?",
)
def birth_year(tools: Tools, work: str) -> int:
    return tools.artist_birth_year(artist=tools.work_artist(work=work))


@MUSEUM.task(
    2,
    "SELECT name AS work FROM work",
    "How much space is left in the museum that has the work {work}?",
    "How many more works is there space for in the museum that has {work}?",
)
def space(tools: Tools, work: str) -> int:
    return tools.museum_space(museum=tools.work_museum(work=work))


@MUSEUM.task(
    3,
    "SELECT work.name AS work, museum.name AS museum FROM work, museum WHERE place <> museum.name AND space > 0",
    "Lend the {museum} museum the work {work}. Which museum had it before?",
    "The {museum} museum wants to borrow {work}. Lend it. Which museum had it before?",
)
def lend(tools: Tools, work: str, museum: str) -> str:
    owner = tools.work_museum(work=work)
    tools.lend(work=work, museum=museum)
    return owner


@MUSEUM.task(
    4,
    "SELECT a.name AS first, b.name AS second, m.name AS museum FROM work a, work b, museum m "
    "WHERE a.name <> b.name AND a.place <> m.name AND b.place <> m.name AND space > 0",
    "Lend the {museum} museum either {first} or {second}, whichever has the lower value. Which one is it?",
    "The {museum} museum can have {first} or {second}. Lend the less valuable one and tell me which it is.",
)
def lend_cheaper(tools: Tools, first: str, second: str, museum: str) -> str:
    chosen = first if tools.work_value(work=first) < tools.work_value(work=second) else second
    tools.lend(work=chosen, museum=museum)
    return chosen


@MUSEUM.task(
    5,
    "SELECT artist, museum.name AS museum FROM work, museum GROUP BY 1, 2 "
    "HAVING sum(place <> museum.name) BETWEEN 2 AND space AND sum(place <> museum.name) > 1",
    "Lend the {museum} museum every work by {artist} that is elsewhere and that it may borrow. "
    "What is the total value of these works?",
    "The {museum} museum is planning an exhibition of {artist}. Lend it every work that it does not have and may "
    "borrow. How much are these works worth in total?",
)
def exhibit(tools: Tools, artist: str, museum: str) -> int:
    limit, total = tools.museum_limit(museum=museum), 0
    for work in tools.works_by(artist=artist):
        value = tools.work_value(work=work)
        if tools.work_museum(work=work) != museum and value <= limit:
            tools.lend(work=work, museum=museum)
            total += value
    return total
