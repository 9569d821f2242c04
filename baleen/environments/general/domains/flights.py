"""An airline: flights with fares, seats and connections, and passengers with tickets."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import CITIES, PEOPLE, distinct, ids, sample


def _fill(rng: random.Random, size: int) -> Rows:
    cities = sample(rng, CITIES, max(4, size // 2))
    codes = [f"{city[:2].upper()}{n}" for city, n in zip(cities, ids(rng, len(cities)), strict=True)]
    numbers, prices = ids(rng, 3 * size, 100, 999), distinct(rng, 3 * size, 30, 300)
    flights = []
    for number, price in zip(numbers, prices, strict=True):
        start, end = rng.sample(cities, 2)
        leaves = rng.randrange(5, 18)
        flights.append(
            (number, start, end, leaves, leaves + rng.randint(1, 4), price, rng.choice([0, 1, 3, 6]))
        )
    people = sample(rng, PEOPLE, size)
    return {
        "airport": [
            (c, code, f) for c, code, f in zip(cities, codes, distinct(rng, len(cities), 5, 50), strict=True)
        ],
        "flight": flights,
        "ticket": [
            (t, p, f[0]) for t, p, f in zip(ids(rng, size // 2, 1000, 5000), people, flights, strict=False)
        ],
        "passenger": [(p,) for p in people],
    }


FLIGHTS = DomainSpec(
    name="flights",
    tables={
        "airport": "city TEXT PRIMARY KEY, code TEXT, fee INTEGER",
        "flight": "number INTEGER PRIMARY KEY, start TEXT, end TEXT, leaves INTEGER, lands "
        "INTEGER, price INTEGER, seats INTEGER",
        "ticket": "id INTEGER PRIMARY KEY, passenger TEXT, flight INTEGER",
        "passenger": "name TEXT PRIMARY KEY",
    },
    fill=_fill,
    tools=(
        query_tool(
            "flight_price",
            "flight:int",
            "price of a flight",
            "SELECT price FROM flight WHERE number = :flight",
        ),
        query_tool(
            "landing_hour",
            "flight:int",
            "hour when a flight will land",
            "SELECT lands FROM flight WHERE number = :flight",
        ),
        query_tool(
            "destination",
            "flight:int",
            "destination of a flight",
            "SELECT end FROM flight WHERE number = :flight",
        ),
        query_tool(
            "airport_code", "city", "airport code of a city", "SELECT code FROM airport WHERE city = :city"
        ),
        query_tool(
            "airport_fee", "city", "airport fee of a city", "SELECT fee FROM airport WHERE city = :city"
        ),
        query_tool(
            "passenger_flight",
            "passenger",
            "flight of a passenger",
            "SELECT flight FROM ticket WHERE passenger = :passenger",
        ),
        query_tool(
            "flights",
            "start end",
            "flights between two cities",
            "SELECT number AS flight, leaves, lands, price, seats FROM flight WHERE start = :start AND end = :end "
            "ORDER BY number",
            "rows",
        ),
        update_tool(
            "buy",
            "passenger flight:int",
            "buy a passenger a ticket",
            [
                ("SELECT 1 FROM passenger WHERE name = :passenger", "there is no passenger {passenger}"),
                (
                    "SELECT 1 FROM flight WHERE number = :flight AND seats > 0",
                    "flight {flight} has no seats left",
                ),
                (
                    "SELECT 1 WHERE NOT EXISTS "
                    "(SELECT 1 FROM ticket WHERE passenger = :passenger AND flight = :flight)",
                    "{passenger} already has a ticket for flight {flight}",
                ),
            ],
            [
                "INSERT INTO ticket SELECT max(id) + 1, :passenger, :flight FROM ticket",
                "UPDATE flight SET seats = seats - 1 WHERE number = :flight",
            ],
            "SELECT max(id) FROM ticket",
        ),
    ),
)

_TRAVELER = "SELECT name AS passenger FROM passenger WHERE name NOT IN (SELECT passenger FROM ticket)"


@FLIGHTS.task(
    1,
    "SELECT number AS flight FROM flight",
    "What is the price of flight {flight}?",
    "How much does flight {flight} cost?",
)
def fare(tools: Tools, flight: int) -> int:
    return tools.flight_price(flight=flight)


@FLIGHTS.task(
    1,
    "SELECT number AS flight FROM flight",
    "At what hour will flight {flight} land?",
    "When does flight {flight} land?",
)
def lands(tools: Tools, flight: int) -> int:
    return tools.landing_hour(flight=flight)


@FLIGHTS.task(
    2,
    "SELECT number AS flight FROM flight",
    "What is the airport code of the destination of flight {flight}?",
    "What is the code of the airport where flight {flight} lands?",
)
def destination_code(tools: Tools, flight: int) -> str:
    return tools.airport_code(city=tools.destination(flight=flight))


@FLIGHTS.task(
    2,
    "SELECT passenger FROM ticket",
    "At what hour will {passenger}'s flight land?",
    "When does {passenger} land?",
)
def passenger_lands(tools: Tools, passenger: str) -> int:
    return tools.landing_hour(flight=tools.passenger_flight(passenger=passenger))


@FLIGHTS.task(
    3,
    f"SELECT passenger, number AS flight FROM flight, ({_TRAVELER}) WHERE seats > 0",
    "Buy {passenger} a ticket for flight {flight}. What is its destination?",
    "{passenger} wants to take flight {flight}. Buy the ticket and name the destination.",
)
def buy(tools: Tools, passenger: str, flight: int) -> str:
    tools.buy(passenger=passenger, flight=flight)
    return tools.destination(flight=flight)


@FLIGHTS.task(
    4,
    f"SELECT passenger, start, end FROM flight, ({_TRAVELER}) WHERE seats > 0 GROUP BY 1, 2, 3 "
    "HAVING count(*) > 0 AND EXISTS (SELECT 1 FROM flight f WHERE f.start = "
    "flight.start AND f.end = flight.end "
    "AND f.number <> flight.number)",
    "Buy {passenger} a ticket for the cheapest flight from {start} to {end} that has seats left. What is the price "
    "plus the airport fee of {end}?",
    "{passenger} wants to fly from {start} to {end} as cheaply as possible. Buy a ticket for a flight with seats left. "
    "How much is it with the airport fee of {end}?",
)
def cheapest_flight(tools: Tools, passenger: str, start: str, end: str) -> int:
    open_ones = [[f["price"], f["flight"]] for f in tools.flights(start=start, end=end) if f["seats"] > 0]
    tools.buy(passenger=passenger, flight=min(open_ones)[1])
    return min(open_ones)[0] + tools.airport_fee(city=end)


@FLIGHTS.task(
    5,
    "SELECT passenger, a.start AS start, a.end AS via, b.end AS end FROM flight "
    "a JOIN flight b ON a.end = b.start, "
    f"({_TRAVELER}) WHERE a.start <> b.end AND a.seats > 0 AND b.seats > 0 AND a.lands < b.leaves "
    "GROUP BY 1, 2, 3, 4",
    "Buy {passenger} the cheapest two tickets from {start} to {end} via {via}, for flights with seats left, the first "
    "landing before the second leaves. If there is a tie, the lower number of the first flight wins. "
    "What is the total price?",
    "{passenger} is going from {start} to {end} with a change in {via}. Buy tickets for the cheapest pair of flights "
    "that have seats left and where the first lands before the second leaves. In case of a tie, choose the lower "
    "number of the first flight. How much do they cost together?",
)
def connection(tools: Tools, passenger: str, start: str, via: str, end: str) -> int:
    pairs = []
    for first in tools.flights(start=start, end=via):
        for second in tools.flights(start=via, end=end):
            if first["seats"] > 0 and second["seats"] > 0 and first["lands"] < second["leaves"]:
                pairs.append([first["price"] + second["price"], first["flight"], second["flight"]])
    tools.buy(passenger=passenger, flight=min(pairs)[1])
    tools.buy(passenger=passenger, flight=min(pairs)[2])
    return min(pairs)[0]
