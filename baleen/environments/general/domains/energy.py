"""Meters whose readings become bills by tariff."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import PEOPLE, different, ids, some, spread


def _fill_energy(rng: random.Random, size: int) -> Rows:
    meters, tariffs = ids(rng, size, 200, 900), ["day", "night", "flat"]
    months = ["Jan", "Feb", "Mar"]
    readings = []
    for meter in meters:
        level = rng.randrange(100, 400)
        for month in months:
            level += rng.randrange(11, 80)
            readings.append((meter, month, level))
    return {
        "home": [
            (m, h, t, 0)
            for m, h, t in zip(meters, some(rng, PEOPLE, size), spread(rng, tariffs, size), strict=True)
        ],
        "tariff": [(t, p) for t, p in zip(tariffs, different(rng, 3, 2, 9), strict=True)],
        "reading": readings,
        "bill": [(1, meters[0], 0)],
    }


def _household(tools: Tools, meter: int) -> str:
    return tools.meter_home(meter=meter)


def _reading(tools: Tools, meter: int, month: str) -> int:
    return tools.reading(meter=meter, month=month)


def _tariff_price(tools: Tools, meter: int) -> int:
    return tools.tariff_price(tariff=tools.meter_tariff(meter=meter))


def _used(tools: Tools, meter: int, start: str, end: str) -> int:
    return tools.reading(meter=meter, month=end) - tools.reading(meter=meter, month=start)


def _new_tariff(tools: Tools, home: str, tariff: str) -> int:
    meter = tools.home_meter(home=home)
    tools.set_tariff(meter=meter, tariff=tariff)
    return meter


def _bill(tools: Tools, meter: int, start: str, end: str) -> int:
    used = tools.reading(meter=meter, month=end) - tools.reading(meter=meter, month=start)
    amount = used * tools.tariff_price(tariff=tools.meter_tariff(meter=meter))
    tools.bill(meter=meter, amount=amount)
    return amount


def _cheaper(tools: Tools, home: str, start: str, end: str) -> str:
    meter = tools.home_meter(home=home)
    used = tools.reading(meter=meter, month=end) - tools.reading(meter=meter, month=start)
    best = min([[tools.tariff_price(tariff=t), t] for t in tools.tariffs()])
    tools.set_tariff(meter=meter, tariff=best[1])
    tools.bill(meter=meter, amount=used * best[0])
    return best[1]


_SPANS = "SELECT 'Jan' AS start, 'Feb' AS end UNION SELECT 'Feb', 'Mar' UNION SELECT 'Jan', 'Mar'"

ENERGY = DomainSpec(
    name="energy",
    tables={
        "home": "meter INTEGER PRIMARY KEY, name TEXT, tariff TEXT, due INTEGER",
        "tariff": "name TEXT PRIMARY KEY, price INTEGER",
        "reading": "meter INTEGER, month TEXT, level INTEGER",
        "bill": "id INTEGER PRIMARY KEY, meter INTEGER, amount INTEGER",
    },
    fill=_fill_energy,
    tools=(
        look("meter_home", "meter:int", "home of a meter", "SELECT name FROM home WHERE meter = :meter"),
        look("home_meter", "home", "meter of a home", "SELECT meter FROM home WHERE name = :home"),
        look(
            "meter_tariff", "meter:int", "tariff of a meter", "SELECT tariff FROM home WHERE meter = :meter"
        ),
        look("tariff_price", "tariff", "price of a tariff", "SELECT price FROM tariff WHERE name = :tariff"),
        look("tariffs", "", "all tariffs", "SELECT name FROM tariff ORDER BY 1", "column"),
        look(
            "reading",
            "meter:int month",
            "reading of a meter",
            "SELECT level FROM reading WHERE meter = :meter AND month = :month",
        ),
        change(
            "set_tariff",
            "meter:int tariff",
            "change the tariff of a meter",
            [
                ("SELECT 1 FROM home WHERE meter = :meter", "no meter {meter}"),
                ("SELECT 1 FROM tariff WHERE name = :tariff", "no tariff {tariff}"),
            ],
            ["UPDATE home SET tariff = :tariff WHERE meter = :meter"],
        ),
        change(
            "bill",
            "meter:int amount:int",
            "write a bill",
            [
                ("SELECT 1 FROM home WHERE meter = :meter", "no meter {meter}"),
                ("SELECT 1 WHERE :amount > 0", "the amount must be above 0"),
            ],
            [
                "INSERT INTO bill SELECT max(id) + 1, :meter, :amount FROM bill",
                "UPDATE home SET due = due + :amount WHERE meter = :meter",
            ],
            "SELECT max(id) FROM bill",
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT meter FROM home",
            ("Home of meter {meter}?", "In whose home is meter {meter}?"),
            _household,
        ),
        TaskShape(
            1,
            "SELECT meter, month FROM reading",
            ("Reading of meter {meter} in {month}?", "What did meter {meter} read in {month}?"),
            _reading,
        ),
        TaskShape(
            2,
            "SELECT meter FROM home",
            ("Price of the tariff of meter {meter}?", "What price does meter {meter} pay by its tariff?"),
            _tariff_price,
        ),
        TaskShape(
            2,
            f"SELECT meter, start, end FROM home, ({_SPANS})",
            (
                "Meter {meter}: use from {start} to {end}?",
                "How much did meter {meter} count between {start} and {end}?",
            ),
            _used,
        ),
        TaskShape(
            3,
            "SELECT h.name AS home, t.name AS tariff FROM home h, tariff t WHERE t.name <> tariff",
            (
                "Change the meter of home {home} to tariff {tariff}. Which meter?",
                "{home} wants tariff {tariff} at home. Set it; the meter's number?",
            ),
            _new_tariff,
        ),
        TaskShape(
            4,
            f"SELECT meter, start, end FROM home, ({_SPANS})",
            (
                "Write the bill of meter {meter} for its use from {start} to {end}. Amount?",
                "Bill meter {meter}: use between {start} and {end} at the price of its tariff. How much?",
            ),
            _bill,
        ),
        TaskShape(
            5,
            f"SELECT name AS home, start, end FROM home, ({_SPANS})",
            (
                "Put {home} on the cheapest tariff, then bill the use from {start} to {end} at it. Which tariff?",
                "{home} gets the tariff of lowest price and a bill at that price for "
                "{start} to {end}. Name the tariff.",
            ),
            _cheaper,
        ),
    ),
)
