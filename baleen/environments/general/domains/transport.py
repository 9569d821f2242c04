"""Flights with two legs; a fleet with services; parcels, lockers and rates."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CITIES, COLOURS, PEOPLE, different, ids, some, spread


def _fill_flights(rng: random.Random, size: int) -> Rows:
    cities = some(rng, CITIES, max(4, size // 2))
    codes = [f"{city[:2].upper()}{n}" for city, n in zip(cities, ids(rng, len(cities)), strict=True)]
    numbers, prices = ids(rng, 3 * size, 100, 999), different(rng, 3 * size, 30, 300)
    flights = []
    for number, price in zip(numbers, prices, strict=True):
        start, end = rng.sample(cities, 2)
        leaves = rng.randrange(5, 18)
        flights.append((number, start, end, leaves, leaves + rng.randint(1, 4), price, rng.choice([0, 1, 3, 6])))
    people = some(rng, PEOPLE, size)
    return {
        "airport": [(c, code, f) for c, code, f in zip(cities, codes, different(rng, len(cities), 5, 50), strict=True)],
        "flight": flights,
        "ticket": [(t, p, f[0]) for t, p, f in zip(ids(rng, size // 2, 1000, 5000), people, flights, strict=False)],
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
        "flight": "number INTEGER PRIMARY KEY, start TEXT, end TEXT, leaves INTEGER, lands INTEGER, price INTEGER, seats INTEGER",
        "ticket": "id INTEGER PRIMARY KEY, person TEXT, flight INTEGER",
        "person": "name TEXT PRIMARY KEY",
    },
    fill=_fill_flights,
    tools=(
        look("flight_price", "flight:int", "price of a flight", "SELECT price FROM flight WHERE number = :flight"),
        look("flight_lands", "flight:int", "hour a flight lands", "SELECT lands FROM flight WHERE number = :flight"),
        look("flight_to", "flight:int", "city a flight goes to", "SELECT end FROM flight WHERE number = :flight"),
        look("airport_code", "city", "airport code of a city", "SELECT code FROM airport WHERE city = :city"),
        look("airport_fee", "city", "airport fee of a city", "SELECT fee FROM airport WHERE city = :city"),
        look("person_flight", "person", "flight of a person", "SELECT flight FROM ticket WHERE person = :person"),
        look("flights", "start end", "flights between two cities",
             "SELECT number AS flight, leaves, lands, price, seats FROM flight WHERE start = :start AND end = :end "
             "ORDER BY number", "rows"),
        change(
            "buy", "person flight:int", "buy a ticket",
            [
                ("SELECT 1 FROM person WHERE name = :person", "no person {person}"),
                ("SELECT 1 FROM flight WHERE number = :flight AND seats > 0", "flight {flight} has no seat left"),
                ("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM ticket WHERE person = :person AND flight = :flight)",
                 "{person} has a ticket"),
            ],
            [
                "INSERT INTO ticket SELECT max(id) + 1, :person, :flight FROM ticket",
                "UPDATE flight SET seats = seats - 1 WHERE number = :flight",
            ],
            "SELECT max(id) FROM ticket",
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT number AS flight FROM flight", ("Price of flight {flight}?", "What does flight {flight} cost?"), _fare),
        TaskShape(1, "SELECT number AS flight FROM flight", ("When does flight {flight} land?", "At what hour lands flight {flight}?"), _lands),
        TaskShape(
            2, "SELECT number AS flight FROM flight",
            ("Airport code of the city flight {flight} goes to?", "Flight {flight}: code of its airport of arrival?"), _to_code,
        ),
        TaskShape(2, "SELECT person FROM ticket", ("When does the flight of {person} land?", "Hour at which {person} lands?"), _holder_lands),
        TaskShape(
            3, f"SELECT person, number AS flight FROM flight, ({_TRAVELLER}) WHERE seats > 0",
            ("Buy {person} a ticket for flight {flight}. To which city?", "{person} takes flight {flight}: buy the ticket and name the city."), _buy,
        ),
        TaskShape(
            4, f"SELECT person, start, end FROM flight, ({_TRAVELLER}) WHERE seats > 0 GROUP BY 1, 2, 3 "
            "HAVING count(*) > 0 AND EXISTS (SELECT 1 FROM flight f WHERE f.start = flight.start AND f.end = flight.end "
            "AND f.number <> flight.number)",
            (
                "Buy {person} the cheapest flight from {start} to {end} with seats left. Price plus airport fee of {end}?",
                "{person} flies {start} to {end} as cheaply as seats allow: buy. Fare and the fee at {end} together?",
            ),
            _cheapest_flight,
        ),
        TaskShape(
            5, "SELECT person, a.start AS start, a.end AS via, b.end AS end FROM flight a JOIN flight b ON a.end = b.start, "
            f"({_TRAVELLER}) WHERE a.start <> b.end AND a.seats > 0 AND b.seats > 0 AND a.lands < b.leaves "
            "GROUP BY 1, 2, 3, 4",
            (
                "Buy {person} both tickets from {start} to {end} via {via}, landing before the next leaves, as cheap as "
                "can be. Total price?",
                "{person} goes from {start} over {via} to {end}. Buy the cheapest pair of flights with seats where the first "
                "lands before the second leaves. What do they cost?",
            ),
            _connection,
        ),
    ),
)  # fmt: skip


def _fill_fleet(rng: random.Random, size: int) -> Rows:
    plates = [f"{a}{b}{n}" for a, b, n in zip(spread(rng, "KLMN", size), spread(rng, "RSTV", size), ids(rng, size), strict=True)]
    garages, drivers = [f"{c} yard" for c in some(rng, COLOURS, max(2, size // 4))], some(rng, PEOPLE, size)
    return {
        "car": [
            (p, d, km, km - rng.randrange(5, 60), g)
            for p, d, km, g in zip(plates, drivers, different(rng, size, 100, 900), spread(rng, garages, size), strict=True)
        ],
        "garage": [(g, m, s, c) for g, m, s, c in zip(garages, some(rng, PEOPLE, len(garages)), spread(rng, [2, 3, 4], len(garages)), different(rng, len(garages), 20, 90), strict=True)],
        "service": [(plates[0], garages[0], 50)],
    }  # fmt: skip


def _driver(tools: Tools, car: str) -> str:
    return tools.car_driver(car=car)


def _distance(tools: Tools, car: str) -> int:
    return tools.car_distance(car=car)


def _since(tools: Tools, car: str) -> int:
    return tools.car_distance(car=car) - tools.last_service(car=car)


def _chief(tools: Tools, driver: str) -> str:
    return tools.garage_chief(garage=tools.car_garage(car=tools.driver_car(driver=driver)))


def _repair(tools: Tools, driver: str) -> str:
    car = tools.driver_car(driver=driver)
    tools.service(car=car)
    return car


def _drive(tools: Tools, car: str, distance: int) -> int:
    tools.drive(car=car, distance=distance)
    return tools.car_distance(car=car)


def _service_if_due(tools: Tools, car: str, limit: int) -> str:
    if tools.car_distance(car=car) - tools.last_service(car=car) > limit:
        tools.service(car=car)
        return "yes"
    return "no"


def _service_all(tools: Tools, garage: str, limit: int) -> int:
    count = 0
    for car in tools.garage_cars(garage=garage):
        if tools.car_distance(car=car) - tools.last_service(car=car) > limit:
            tools.service(car=car)
            count += 1
    return count


FLEET = DomainSpec(
    name="fleet",
    tables={
        "car": "plate TEXT PRIMARY KEY, driver TEXT, distance INTEGER, serviced INTEGER, garage TEXT",
        "garage": "name TEXT PRIMARY KEY, chief TEXT, lifts INTEGER, cost INTEGER",
        "service": "car TEXT, garage TEXT, distance INTEGER",
    },
    fill=_fill_fleet,
    tools=(
        look("car_driver", "car", "driver of a car", "SELECT driver FROM car WHERE plate = :car"),
        look("driver_car", "driver", "car of a driver", "SELECT plate FROM car WHERE driver = :driver"),
        look("car_distance", "car", "distance a car has gone", "SELECT distance FROM car WHERE plate = :car"),
        look("last_service", "car", "distance at the last service", "SELECT serviced FROM car WHERE plate = :car"),
        look("car_garage", "car", "garage of a car", "SELECT garage FROM car WHERE plate = :car"),
        look("garage_chief", "garage", "chief of a garage", "SELECT chief FROM garage WHERE name = :garage"),
        look("garage_cars", "garage", "cars of a garage", "SELECT plate FROM car WHERE garage = :garage ORDER BY 1", "column"),
        change(
            "service", "car", "enter a service of a car",
            [
                ("SELECT 1 FROM car WHERE plate = :car", "no car {car}"),
                ("SELECT 1 FROM car WHERE plate = :car AND serviced < distance", "{car} has just been serviced"),
            ],
            [
                "UPDATE car SET serviced = distance WHERE plate = :car",
                "INSERT INTO service SELECT plate, garage, distance FROM car WHERE plate = :car",
            ],
        ),
        change(
            "drive", "car distance:int", "add distance to a car",
            [
                ("SELECT 1 FROM car WHERE plate = :car", "no car {car}"),
                ("SELECT 1 WHERE :distance > 0", "the distance must be above 0"),
            ],
            ["UPDATE car SET distance = distance + :distance WHERE plate = :car"],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT plate AS car FROM car", ("Driver of car {car}?", "Which driver has car {car}?"), _driver),
        TaskShape(1, "SELECT plate AS car FROM car", ("Distance of car {car}?", "What distance has car {car} gone?"), _distance),
        TaskShape(
            2, "SELECT plate AS car FROM car",
            ("Distance of car {car} since its last service?", "How far has car {car} gone since the service?"), _since,
        ),
        TaskShape(
            2, "SELECT driver FROM car",
            ("Chief of the garage of the car of {driver}?", "Driver {driver}: who is chief of the garage of the car?"), _chief,
        ),
        TaskShape(
            3, "SELECT driver FROM car",
            ("Enter a service of the car of {driver}. Which car?", "The car of driver {driver} had its service: enter it. Its plate?"), _repair,
        ),
        TaskShape(
            3, "SELECT plate AS car, 4 + distance % 50 AS distance FROM car",
            ("Add {distance} to the distance of car {car}. What is it then?", "Car {car} has gone {distance} more: add it. Its distance now?"), _drive,
        ),
        TaskShape(
            4, "SELECT plate AS car, 25 + distance % 10 AS 'limit' FROM car",
            (
                "Enter a service of car {car} if it has gone over {limit} since the last. Was one due, yes or no?",
                "If car {car} has more than {limit} since its service, enter a service. Answer yes or no: was it due?",
            ),
            _service_if_due,
        ),
        TaskShape(
            5, "SELECT garage, 20 + count(*) AS 'limit' FROM car GROUP BY 1",
            (
                "Enter a service of each car of garage {garage} with more than {limit} since its last. How many?",
                "Garage {garage} services all its cars that went over {limit} since the last service. Enter them; how many?",
            ),
            _service_all,
        ),
    ),
)  # fmt: skip


def _fill_parcels(rng: random.Random, size: int) -> Rows:
    zones, depots = ["north", "south", "east", "west"], some(rng, CITIES, max(3, size // 3))
    parcels, lockers = ids(rng, size, 100, 900), ids(rng, size)
    return {
        "parcel": [
            (p, w, z, d, None)
            for p, w, z, d in zip(parcels, different(rng, size, 2, 2 + 2 * size + 8), spread(rng, zones, size), spread(rng, depots, size), strict=True)
        ],
        "depot": [(d, k, n) for d, k, n in zip(depots, some(rng, PEOPLE, len(depots)), different(rng, len(depots), 10, 90), strict=True)],
        "zone": [(z, r) for z, r in zip(zones, different(rng, 4, 2, 12), strict=True)],
        "locker": [
            (k, d, w, int(rng.random() < 0.25))
            for k, d, w in zip(lockers, spread(rng, depots, size), different(rng, size, 5, 15 + 2 * size), strict=True)
        ],
    }  # fmt: skip


def _weight(tools: Tools, parcel: int) -> int:
    return tools.parcel_weight(parcel=parcel)


def _zone(tools: Tools, parcel: int) -> str:
    return tools.parcel_zone(parcel=parcel)


def _clerk(tools: Tools, parcel: int) -> str:
    return tools.depot_clerk(depot=tools.parcel_depot(parcel=parcel))


def _postage(tools: Tools, parcel: int) -> int:
    return tools.parcel_weight(parcel=parcel) * tools.zone_rate(zone=tools.parcel_zone(parcel=parcel))


def _send_on(tools: Tools, parcel: int, depot: str) -> str:
    tools.send(parcel=parcel, depot=depot)
    return tools.depot_clerk(depot=depot)


def _heavier(tools: Tools, first: int, second: int, depot: str) -> int:
    chosen = first if tools.parcel_weight(parcel=first) > tools.parcel_weight(parcel=second) else second
    tools.send(parcel=chosen, depot=depot)
    return chosen


def _locker(tools: Tools, parcel: int) -> int:
    weight, fitting = tools.parcel_weight(parcel=parcel), []
    for locker in tools.free_lockers(depot=tools.parcel_depot(parcel=parcel)):
        if locker["holds"] >= weight:
            fitting.append([locker["holds"], locker["locker"]])
    tools.store(parcel=parcel, locker=min(fitting)[1])
    return min(fitting)[1]


PARCELS = DomainSpec(
    name="parcels",
    tables={
        "parcel": "id INTEGER PRIMARY KEY, weight INTEGER, zone TEXT, depot TEXT, locker INTEGER",
        "depot": "city TEXT PRIMARY KEY, clerk TEXT, staff INTEGER",
        "zone": "name TEXT PRIMARY KEY, rate INTEGER",
        "locker": "id INTEGER PRIMARY KEY, depot TEXT, holds INTEGER, used INTEGER",
    },
    fill=_fill_parcels,
    tools=(
        look("parcel_weight", "parcel:int", "weight of a parcel", "SELECT weight FROM parcel WHERE id = :parcel"),
        look("parcel_zone", "parcel:int", "zone of a parcel", "SELECT zone FROM parcel WHERE id = :parcel"),
        look("parcel_depot", "parcel:int", "depot of a parcel", "SELECT depot FROM parcel WHERE id = :parcel"),
        look("depot_clerk", "depot", "clerk of a depot", "SELECT clerk FROM depot WHERE city = :depot"),
        look("zone_rate", "zone", "rate of a zone", "SELECT rate FROM zone WHERE name = :zone"),
        look("free_lockers", "depot", "free lockers of a depot",
             "SELECT id AS locker, holds FROM locker WHERE depot = :depot AND NOT used ORDER BY id", "rows"),
        change(
            "send", "parcel:int depot", "send a parcel to a depot",
            [
                ("SELECT 1 FROM parcel WHERE id = :parcel AND locker IS NULL", "no parcel {parcel} to send"),
                ("SELECT 1 FROM depot WHERE city = :depot", "no depot {depot}"),
                ("SELECT 1 FROM parcel WHERE id = :parcel AND depot <> :depot", "{parcel} is there already"),
            ],
            ["UPDATE parcel SET depot = :depot WHERE id = :parcel"],
        ),
        change(
            "store", "parcel:int locker:int", "put a parcel in a locker",
            [
                ("SELECT 1 FROM parcel WHERE id = :parcel AND locker IS NULL", "parcel {parcel} is in a locker"),
                ("SELECT 1 FROM locker WHERE id = :locker AND NOT used", "locker {locker} is not free"),
                ("SELECT 1 FROM parcel p JOIN locker l ON p.depot = l.depot AND p.weight <= l.holds "
                 "WHERE p.id = :parcel AND l.id = :locker", "locker {locker} does not suit parcel {parcel}"),
            ],
            ["UPDATE parcel SET locker = :locker WHERE id = :parcel", "UPDATE locker SET used = 1 WHERE id = :locker"],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT id AS parcel FROM parcel", ("Weight of parcel {parcel}?", "What weight has parcel {parcel}?"), _weight),
        TaskShape(1, "SELECT id AS parcel FROM parcel", ("Zone of parcel {parcel}?", "To which zone goes parcel {parcel}?"), _zone),
        TaskShape(2, "SELECT id AS parcel FROM parcel", ("Clerk of the depot of parcel {parcel}?", "Parcel {parcel}: which clerk has its depot?"), _clerk),
        TaskShape(
            3, "SELECT id AS parcel, city AS depot FROM parcel, depot WHERE depot <> city",
            ("Send parcel {parcel} to depot {depot}. Who is the clerk there?", "Parcel {parcel} moves to depot {depot}: send it and name that depot's clerk."), _send_on,
        ),
        TaskShape(
            3, "SELECT id AS parcel FROM parcel",
            ("Weight of parcel {parcel} times the rate of its zone?", "Postage of parcel {parcel}: weight times rate of the zone?"), _postage,
        ),
        TaskShape(
            4, "SELECT a.id AS first, b.id AS second, city AS depot FROM parcel a, parcel b, depot "
            "WHERE a.id <> b.id AND a.depot <> city AND b.depot <> city",
            (
                "Send the heavier of parcels {first} and {second} to depot {depot}. Which?",
                "Depot {depot} gets parcel {first} or {second}, whichever weighs more. Send it; its number?",
            ),
            _heavier,
        ),
        TaskShape(
            5, "SELECT p.id AS parcel FROM parcel p JOIN locker l ON l.depot = p.depot AND holds >= weight WHERE NOT used "
            "GROUP BY 1",
            (
                "Store parcel {parcel} in the smallest free locker of its depot that holds its weight. Which?",
                "Parcel {parcel} waits in its depot: put it in the free locker that holds least but enough. The locker?",
            ),
            _locker,
        ),
    ),
)  # fmt: skip
