"""A fleet: cars, drivers, garages, services due by mileage."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import COLORS, PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    plates = [
        f"{a}{b}{n}"
        for a, b, n in zip(spread(rng, "KLMN", size), spread(rng, "RSTV", size), ids(rng, size), strict=True)
    ]
    garages = [f"{c} yard" for c in sample(rng, COLORS, max(2, size // 4))]
    drivers = sample(rng, PEOPLE, size)
    return {
        "car": [
            (p, d, miles, miles - rng.randrange(5, 60), g)
            for p, d, miles, g in zip(
                plates, drivers, distinct(rng, size, 100, 900), spread(rng, garages, size), strict=True
            )
        ],
        "garage": [
            (g, m, s, c)
            for g, m, s, c in zip(
                garages,
                sample(rng, PEOPLE, len(garages)),
                spread(rng, [2, 3, 4], len(garages)),
                distinct(rng, len(garages), 20, 90),
                strict=True,
            )
        ],
        "service": [(plates[0], garages[0], 50)],
    }


FLEET = DomainSpec(
    name="fleet",
    tables={
        "car": "plate TEXT PRIMARY KEY, driver TEXT, mileage INTEGER, serviced INTEGER, garage TEXT",
        "garage": "name TEXT PRIMARY KEY, manager TEXT, lifts INTEGER, cost INTEGER",
        "service": "car TEXT, garage TEXT, mileage INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool("car_driver", "car", "driver of a car", "SELECT driver FROM car WHERE plate = :car"),
        query_tool("driver_car", "driver", "car of a driver", "SELECT plate FROM car WHERE driver = :driver"),
        query_tool("car_mileage", "car", "mileage of a car", "SELECT mileage FROM car WHERE plate = :car"),
        query_tool(
            "last_service",
            "car",
            "mileage of a car at its last service",
            "SELECT serviced FROM car WHERE plate = :car",
        ),
        query_tool("car_garage", "car", "garage of a car", "SELECT garage FROM car WHERE plate = :car"),
        query_tool(
            "garage_manager",
            "garage",
            "manager of a garage",
            "SELECT manager FROM garage WHERE name = :garage",
        ),
        query_tool(
            "garage_cars",
            "garage",
            "cars of a garage",
            "SELECT plate FROM car WHERE garage = :garage ORDER BY 1",
            "column",
        ),
        update_tool(
            "service",
            "car",
            "record a service for a car",
            [
                ("SELECT 1 FROM car WHERE plate = :car", "there is no car {car}"),
                (
                    "SELECT 1 FROM car WHERE plate = :car AND serviced < mileage",
                    "{car} has just been serviced",
                ),
            ],
            [
                "UPDATE car SET serviced = mileage WHERE plate = :car",
                "INSERT INTO service SELECT plate, garage, mileage FROM car WHERE plate = :car",
            ],
        ),
        update_tool(
            "add_miles",
            "car miles:int",
            "add miles to the mileage of a car",
            [
                ("SELECT 1 FROM car WHERE plate = :car", "there is no car {car}"),
                ("SELECT 1 WHERE :miles > 0", "miles must be greater than 0"),
            ],
            ["UPDATE car SET mileage = mileage + :miles WHERE plate = :car"],
        ),
    ),
)


@FLEET.task(
    1,
    "SELECT plate AS car FROM car",
    "Who is the driver of car {car}?",
    "Who drives car {car}?",
)
def driver(tools: Tools, car: str) -> str:
    return tools.car_driver(car=car)


@FLEET.task(
    1,
    "SELECT plate AS car FROM car",
    "What is the mileage of car {car}?",
    "How many miles does car {car} have on it?",
)
def mileage(tools: Tools, car: str) -> int:
    return tools.car_mileage(car=car)


@FLEET.task(
    2,
    "SELECT plate AS car FROM car",
    "By how much has the mileage of car {car} grown since its last service?",
    "How many miles has car {car} gone since its last service?",
)
def since_service(tools: Tools, car: str) -> int:
    return tools.car_mileage(car=car) - tools.last_service(car=car)


@FLEET.task(
    2,
    "SELECT driver FROM car",
    "Who is the manager of the garage of {driver}'s car?",
    "Who manages the garage where {driver}'s car is kept?",
)
def driver_manager(tools: Tools, driver: str) -> str:
    return tools.garage_manager(garage=tools.car_garage(car=tools.driver_car(driver=driver)))


@FLEET.task(
    3,
    "SELECT driver FROM car",
    "Record a service for {driver}'s car. Which car is it?",
    "{driver}'s car has been serviced. Record it and tell me which car it is.",
)
def record_service(tools: Tools, driver: str) -> str:
    car = tools.driver_car(driver=driver)
    tools.service(car=car)
    return car


@FLEET.task(
    3,
    "SELECT plate AS car, 4 + mileage % 50 AS miles FROM car",
    "Add {miles} miles to the mileage of car {car}. What is its mileage now?",
    "Car {car} has gone another {miles} miles. Add them and tell me its mileage.",
)
def add_miles(tools: Tools, car: str, miles: int) -> int:
    tools.add_miles(car=car, miles=miles)
    return tools.car_mileage(car=car)


@FLEET.task(
    4,
    "SELECT plate AS car, 25 + mileage % 10 AS 'limit' FROM car",
    "Record a service for car {car} if it has gone more than {limit} miles since its last one. Was one due, "
    "yes or no?",
    "If car {car} has gone more than {limit} miles since its last service, record a new one. Answer yes or no: "
    "was a service due?",
)
def service_if_due(tools: Tools, car: str, limit: int) -> str:
    if tools.car_mileage(car=car) - tools.last_service(car=car) > limit:
        tools.service(car=car)
        return "yes"
    return "no"


@FLEET.task(
    5,
    "SELECT garage, 20 + count(*) AS 'limit' FROM car GROUP BY 1",
    "Record a service for every car of the {garage} that has gone more than {limit} miles since its last one. "
    "How many cars is that?",
    "Today the {garage} serviced all of its cars that had gone more than {limit} miles since their last service. "
    "Record these services. How many are there?",
)
def service_all(tools: Tools, garage: str, limit: int) -> int:
    count = 0
    for car in tools.garage_cars(garage=garage):
        if tools.car_mileage(car=car) - tools.last_service(car=car) > limit:
            tools.service(car=car)
            count += 1
    return count
