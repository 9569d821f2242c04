"""Flights with fares, seats and connections."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CITIES, PEOPLE, different, ids, some


def _fill_flights(rng: random.Random, size: int) -> Rows:
    cities = some(rng, CITIES, max(4, size // 2))
    codes = [f"{city[:2].upper()}{n}" for city, n in zip(cities, ids(rng, len(cities)), strict=True)]
    numbers, prices = ids(rng, 3 * size, 100, 999), different(rng, 3 * size, 30, 300)
    flights = []
    for number, price in zip(numbers, prices, strict=True):
        start, end = rng.sample(cities, 2)
        leaves = rng.randrange(5, 18)
        flights.append(
            (number, start, end, leaves, leaves + rng.randint(1, 4), price, rng.choice([0, 1, 3, 6]))
        )
    people = some(rng, PEOPLE, size)
    return {
        "airport": [
            (c, code, f) for c, code, f in zip(cities, codes, different(rng, len(cities), 5, 50), strict=True)
        ],
        "flight": flights,
        "ticket": [
            (t, p, f[0]) for t, p, f in zip(ids(rng, size // 2, 1000, 5000), people, flights, strict=False)
        ],
        "person": [(p,) for p in people],
    }


def _fare(tools: Tools, flight: int) -> int:
    return tools.flight_price(flight=flight)


def _lands(tools: Tools, flight: int) -> int:
    return tools.flight_lands(flight=flight)


def _to_code(tools: Tools, flight: int) -> str:
    return tools.airport_code(city=tools.flight_to(flight=flight))


def _holder_lands(tools: Tools, person: str) -> int:
    return tools.flight_lands(flight=tools.person_flight(person=person))


def _buy(tools: Tools, person: str, flight: int) -> str:
    tools.buy(person=person, flight=flight)
    return tools.flight_to(flight=flight)


def _cheapest_flight(tools: Tools, person: str, start: str, end: str) -> int:
    open_ones = [[f["price"], f["flight"]] for f in tools.flights(start=start, end=end) if f["seats"] > 0]
    tools.buy(person=person, flight=min(open_ones)[1])
    return min(open_ones)[0] + tools.airport_fee(city=end)


def _connection(tools: Tools, person: str, start: str, via: str, end: str) -> int:
    pairs = []
    for first in tools.flights(start=start, end=via):
        for second in tools.flights(start=via, end=end):
            if first["seats"] > 0 and second["seats"] > 0 and first["lands"] < second["leaves"]:
                pairs.append([first["price"] + second["price"], first["flight"], second["flight"]])
    tools.buy(person=person, flight=min(pairs)[1])
    tools.buy(person=person, flight=min(pairs)[2])
    return min(pairs)[0]


_TRAVELLER = "SELECT name AS person FROM person WHERE name NOT IN (SELECT person FROM ticket)"

FLIGHTS = DomainSpec(
    name="flights",
    tables={
        "airport": "city TEXT PRIMARY KEY, code TEXT, fee INTEGER",
        "flight": "number INTEGER PRIMARY KEY, start TEXT, end TEXT, leaves INTEGER, lands "
        "INTEGER, price INTEGER, seats INTEGER",
        "ticket": "id INTEGER PRIMARY KEY, person TEXT, flight INTEGER",
        "person": "name TEXT PRIMARY KEY",
    },
    fill=_fill_flights,
    tools=(
        look(
            "flight_price",
            "flight:int",
            "price of a flight",
            "SELECT price FROM flight WHERE number = :flight",
        ),
        look(
            "flight_lands",
            "flight:int",
            "hour a flight lands",
            "SELECT lands FROM flight WHERE number = :flight",
        ),
        look(
            "flight_to",
            "flight:int",
            "city a flight goes to",
            "SELECT end FROM flight WHERE number = :flight",
        ),
        look("airport_code", "city", "airport code of a city", "SELECT code FROM airport WHERE city = :city"),
        look("airport_fee", "city", "airport fee of a city", "SELECT fee FROM airport WHERE city = :city"),
        look(
            "person_flight",
            "person",
            "flight of a person",
            "SELECT flight FROM ticket WHERE person = :person",
        ),
        look(
            "flights",
            "start end",
            "flights between two cities",
            "SELECT number AS flight, leaves, lands, price, seats FROM flight WHERE start = :start AND end = :end "
            "ORDER BY number",
            "rows",
        ),
        change(
            "buy",
            "person flight:int",
            "buy a ticket",
            [
                ("SELECT 1 FROM person WHERE name = :person", "no person {person}"),
                (
                    "SELECT 1 FROM flight WHERE number = :flight AND seats > 0",
                    "flight {flight} has no seat left",
                ),
                (
                    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM ticket WHERE person = :person AND flight = :flight)",
                    "{person} has a ticket",
                ),
            ],
            [
                "INSERT INTO ticket SELECT max(id) + 1, :person, :flight FROM ticket",
                "UPDATE flight SET seats = seats - 1 WHERE number = :flight",
            ],
            "SELECT max(id) FROM ticket",
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT number AS flight FROM flight",
            ("Price of flight {flight}?", "What does flight {flight} cost?"),
            _fare,
        ),
        TaskShape(
            1,
            "SELECT number AS flight FROM flight",
            ("When does flight {flight} land?", "At what hour lands flight {flight}?"),
            _lands,
        ),
        TaskShape(
            2,
            "SELECT number AS flight FROM flight",
            (
                "Airport code of the city flight {flight} goes to?",
                "Flight {flight}: code of its airport of arrival?",
            ),
            _to_code,
        ),
        TaskShape(
            2,
            "SELECT person FROM ticket",
            ("When does the flight of {person} land?", "Hour at which {person} lands?"),
            _holder_lands,
        ),
        TaskShape(
            3,
            f"SELECT person, number AS flight FROM flight, ({_TRAVELLER}) WHERE seats > 0",
            (
                "Buy {person} a ticket for flight {flight}. To which city?",
                "{person} takes flight {flight}: buy the ticket and name the city.",
            ),
            _buy,
        ),
        TaskShape(
            4,
            f"SELECT person, start, end FROM flight, ({_TRAVELLER}) WHERE seats > 0 GROUP BY 1, 2, 3 "
            "HAVING count(*) > 0 AND EXISTS (SELECT 1 FROM flight f WHERE f.start = "
            "flight.start AND f.end = flight.end "
            "AND f.number <> flight.number)",
            (
                "Buy {person} the cheapest flight from {start} to {end} with seats "
                "left. Price plus airport fee of {end}?",
                "{person} flies {start} to {end} as cheaply as seats allow: buy. Fare and the fee at {end} together?",
            ),
            _cheapest_flight,
        ),
        TaskShape(
            5,
            "SELECT person, a.start AS start, a.end AS via, b.end AS end FROM flight "
            "a JOIN flight b ON a.end = b.start, "
            f"({_TRAVELLER}) WHERE a.start <> b.end AND a.seats > 0 AND b.seats > 0 AND a.lands < b.leaves "
            "GROUP BY 1, 2, 3, 4",
            (
                "Buy {person} both tickets from {start} to {end} via {via}, landing "
                "before the next leaves, as cheap as "
                "can be (on a tie the lower first number). Total price?",
                "{person} goes from {start} over {via} to {end}. Buy the cheapest pair "
                "of flights with seats where the first "
                "lands before the second leaves; on a tie the lower first number. What do they cost?",
            ),
            _connection,
        ),
    ),
)
