"""A fleet: cars, drivers, garages, services due by distance."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import COLOURS, PEOPLE, different, ids, some, spread


def _fill_fleet(rng: random.Random, size: int) -> Rows:
    plates = [
        f"{a}{b}{n}"
        for a, b, n in zip(spread(rng, "KLMN", size), spread(rng, "RSTV", size), ids(rng, size), strict=True)
    ]
    garages, drivers = [f"{c} yard" for c in some(rng, COLOURS, max(2, size // 4))], some(rng, PEOPLE, size)
    return {
        "car": [
            (p, d, km, km - rng.randrange(5, 60), g)
            for p, d, km, g in zip(
                plates, drivers, different(rng, size, 100, 900), spread(rng, garages, size), strict=True
            )
        ],
        "garage": [
            (g, m, s, c)
            for g, m, s, c in zip(
                garages,
                some(rng, PEOPLE, len(garages)),
                spread(rng, [2, 3, 4], len(garages)),
                different(rng, len(garages), 20, 90),
                strict=True,
            )
        ],
        "service": [(plates[0], garages[0], 50)],
    }


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
        look(
            "last_service",
            "car",
            "distance at the last service",
            "SELECT serviced FROM car WHERE plate = :car",
        ),
        look("car_garage", "car", "garage of a car", "SELECT garage FROM car WHERE plate = :car"),
        look("garage_chief", "garage", "chief of a garage", "SELECT chief FROM garage WHERE name = :garage"),
        look(
            "garage_cars",
            "garage",
            "cars of a garage",
            "SELECT plate FROM car WHERE garage = :garage ORDER BY 1",
            "column",
        ),
        change(
            "service",
            "car",
            "enter a service of a car",
            [
                ("SELECT 1 FROM car WHERE plate = :car", "no car {car}"),
                (
                    "SELECT 1 FROM car WHERE plate = :car AND serviced < distance",
                    "{car} has just been serviced",
                ),
            ],
            [
                "UPDATE car SET serviced = distance WHERE plate = :car",
                "INSERT INTO service SELECT plate, garage, distance FROM car WHERE plate = :car",
            ],
        ),
        change(
            "drive",
            "car distance:int",
            "add distance to a car",
            [
                ("SELECT 1 FROM car WHERE plate = :car", "no car {car}"),
                ("SELECT 1 WHERE :distance > 0", "the distance must be above 0"),
            ],
            ["UPDATE car SET distance = distance + :distance WHERE plate = :car"],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT plate AS car FROM car",
            ("Driver of car {car}?", "Which driver has car {car}?"),
            _driver,
        ),
        TaskShape(
            1,
            "SELECT plate AS car FROM car",
            ("Distance of car {car}?", "What distance has car {car} gone?"),
            _distance,
        ),
        TaskShape(
            2,
            "SELECT plate AS car FROM car",
            (
                "Distance of car {car} since its last service?",
                "How far has car {car} gone since the service?",
            ),
            _since,
        ),
        TaskShape(
            2,
            "SELECT driver FROM car",
            (
                "Chief of the garage of the car of {driver}?",
                "Driver {driver}: who is chief of the garage of the car?",
            ),
            _chief,
        ),
        TaskShape(
            3,
            "SELECT driver FROM car",
            (
                "Enter a service of the car of {driver}. Which car?",
                "The car of driver {driver} had its service: enter it. Its plate?",
            ),
            _repair,
        ),
        TaskShape(
            3,
            "SELECT plate AS car, 4 + distance % 50 AS distance FROM car",
            (
                "Add {distance} to the distance of car {car}. What is it then?",
                "Car {car} has gone {distance} more: add it. Its distance now?",
            ),
            _drive,
        ),
        TaskShape(
            4,
            "SELECT plate AS car, 25 + distance % 10 AS 'limit' FROM car",
            (
                "Enter a service of car {car} if it has gone over {limit} since the last. Was one due, yes or no?",
                "If car {car} has more than {limit} since its service, enter a service. Answer yes or no: was it due?",
            ),
            _service_if_due,
        ),
        TaskShape(
            5,
            "SELECT garage, 20 + count(*) AS 'limit' FROM car GROUP BY 1",
            (
                "Enter a service of each car of garage {garage} with more than {limit} since its last. How many?",
                "Garage {garage} services all its cars that went over {limit} since "
                "the last service. Enter them; how many?",
            ),
            _service_all,
        ),
    ),
)
