"""Museums that lend each other works within limits of space and value."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CITIES, PEOPLE, WORKS, different, some, spread


def _fill_museums(rng: random.Random, size: int) -> Rows:
    museums, works = some(rng, CITIES, max(3, size // 3)), some(rng, WORKS, size)
    artists = some(rng, PEOPLE, max(3, size // 2))
    return {
        "museum": [
            (m, rng.randint(1, 4), v)
            for m, v in zip(museums, different(rng, len(museums), 50, 99), strict=True)
        ],
        "work": [
            (w, a, m, m, v)
            for w, a, m, v in zip(
                works,
                spread(rng, artists, size),
                spread(rng, museums, size),
                different(rng, size, 10, 50),
                strict=True,
            )
        ],
        "artist": [(a, y) for a, y in zip(artists, different(rng, len(artists), 1700, 1990), strict=True)],
    }


def _artist(tools: Tools, work: str) -> str:
    return tools.work_artist(work=work)


def _value(tools: Tools, work: str) -> int:
    return tools.work_value(work=work)


def _born(tools: Tools, work: str) -> int:
    return tools.artist_born(artist=tools.work_artist(work=work))


def _space(tools: Tools, work: str) -> int:
    return tools.museum_space(museum=tools.work_museum(work=work))


def _lend(tools: Tools, work: str, museum: str) -> str:
    owner = tools.work_museum(work=work)
    tools.lend(work=work, museum=museum)
    return owner


def _lend_oldest(tools: Tools, first: str, second: str, museum: str) -> str:
    chosen = first if tools.work_value(work=first) < tools.work_value(work=second) else second
    tools.lend(work=chosen, museum=museum)
    return chosen


def _exhibit(tools: Tools, artist: str, museum: str) -> int:
    limit, total = tools.museum_limit(museum=museum), 0
    for work in tools.works_by(artist=artist):
        value = tools.work_value(work=work)
        if tools.work_museum(work=work) != museum and value <= limit:
            tools.lend(work=work, museum=museum)
            total += value
    return total


_LOAN = "SELECT work.name AS work, museum.name AS museum FROM work, museum WHERE place <> museum.name AND space > 0"

MUSEUM = DomainSpec(
    name="museum",
    tables={
        "museum": 'name TEXT PRIMARY KEY, space INTEGER, "limit" INTEGER',
        "work": "name TEXT PRIMARY KEY, artist TEXT, owner TEXT, place TEXT, value INTEGER",
        "artist": "name TEXT PRIMARY KEY, born INTEGER",
    },
    fill=_fill_museums,
    tools=(
        look("work_artist", "work", "artist of a work", "SELECT artist FROM work WHERE name = :work"),
        look("work_museum", "work", "museum where a work is", "SELECT place FROM work WHERE name = :work"),
        look("work_value", "work", "value of a work", "SELECT value FROM work WHERE name = :work"),
        look(
            "artist_born", "artist", "year an artist was born", "SELECT born FROM artist WHERE name = :artist"
        ),
        look(
            "museum_space",
            "museum",
            "space left in a museum",
            "SELECT space FROM museum WHERE name = :museum",
        ),
        look(
            "museum_limit",
            "museum",
            "highest value lent to it",
            'SELECT "limit" FROM museum WHERE name = :museum',
        ),
        look(
            "works_by",
            "artist",
            "works by an artist",
            "SELECT name FROM work WHERE artist = :artist ORDER BY 1",
            "column",
        ),
        change(
            "lend",
            "work museum",
            "lend a work to a museum",
            [
                ("SELECT 1 FROM work WHERE name = :work", "no work {work}"),
                ("SELECT 1 FROM museum WHERE name = :museum AND space > 0", "no space in museum {museum}"),
                ("SELECT 1 FROM work WHERE name = :work AND place <> :museum", "{work} is there already"),
                (
                    'SELECT 1 FROM work, museum m WHERE work.name = :work AND m.name = :museum AND value <= "limit"',
                    "{work} is too valuable for {museum}",
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
    shapes=(
        TaskShape(
            1,
            "SELECT name AS work FROM work",
            ("Artist of work {work}?", "Which artist made work {work}?"),
            _artist,
        ),
        TaskShape(
            1,
            "SELECT name AS work FROM work",
            ("Value of work {work}?", "What value has work {work}?"),
            _value,
        ),
        TaskShape(
            2,
            "SELECT name AS work FROM work",
            ("When was the artist of {work} born?", "Year the artist of work {work} was born?"),
            _born,
        ),
        TaskShape(
            2,
            "SELECT name AS work FROM work",
            ("Space left in the museum where {work} is?", "How much space has the museum of work {work}?"),
            _space,
        ),
        TaskShape(
            3,
            _LOAN,
            (
                "Lend work {work} to museum {museum}. Where was it before?",
                "Museum {museum} gets {work} on loan. Do it and name the museum it comes from.",
            ),
            _lend,
        ),
        TaskShape(
            4,
            "SELECT a.name AS first, b.name AS second, m.name AS museum FROM work a, work b, museum m "
            "WHERE a.name <> b.name AND a.place <> m.name AND b.place <> m.name AND space > 0",
            (
                "Lend {first} or {second}, the one of less value, to museum {museum}. Which one?",
                "Museum {museum} can have {first} or {second}: lend the less valuable and name it.",
            ),
            _lend_oldest,
        ),
        TaskShape(
            5,
            "SELECT artist, museum.name AS museum FROM work, museum GROUP BY 1, 2 "
            "HAVING sum(place <> museum.name) BETWEEN 2 AND space AND sum(place <> museum.name) > 1",
            (
                "Lend museum {museum} every work by {artist} that is elsewhere and "
                "within its limit. Their value in all?",
                "{museum} shows artist {artist}: lend it all works it may have and does not have. Sum of their values?",
            ),
            _exhibit,
        ),
    ),
)
