"""An electricity company: meters, their readings, tariffs, and bills."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import MONTHS, PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    meters, tariffs = ids(rng, size, 200, 900), ["day", "night", "flat"]
    readings = []
    for meter in meters:
        level = rng.randrange(100, 400)
        for month in MONTHS:
            level += rng.randrange(11, 80)
            readings.append((meter, month, level))
    return {
        "household": [
            (m, h, t, 0)
            for m, h, t in zip(meters, sample(rng, PEOPLE, size), spread(rng, tariffs, size), strict=True)
        ],
        "tariff": [(t, p) for t, p in zip(tariffs, distinct(rng, 3, 2, 9), strict=True)],
        "reading": readings,
        "bill": [(1, meters[0], 0)],
    }


ENERGY = DomainSpec(
    name="energy",
    tables={
        "household": "meter INTEGER PRIMARY KEY, name TEXT, tariff TEXT, due INTEGER",
        "tariff": "name TEXT PRIMARY KEY, price INTEGER",
        "reading": "meter INTEGER, month TEXT, level INTEGER",
        "bill": "id INTEGER PRIMARY KEY, meter INTEGER, amount INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool(
            "meter_household",
            "meter:int",
            "household of a meter",
            "SELECT name FROM household WHERE meter = :meter",
        ),
        query_tool(
            "household_meter",
            "household",
            "meter of a household",
            "SELECT meter FROM household WHERE name = :household",
        ),
        query_tool(
            "meter_tariff",
            "meter:int",
            "tariff of a meter",
            "SELECT tariff FROM household WHERE meter = :meter",
        ),
        query_tool(
            "tariff_price", "tariff", "price of a tariff", "SELECT price FROM tariff WHERE name = :tariff"
        ),
        query_tool("tariffs", "", "names of all tariffs", "SELECT name FROM tariff ORDER BY 1", "column"),
        query_tool(
            "reading",
            "meter:int month",
            "reading of a meter in a month",
            "SELECT level FROM reading WHERE meter = :meter AND month = :month",
        ),
        update_tool(
            "set_tariff",
            "meter:int tariff",
            "change the tariff of a meter",
            [
                ("SELECT 1 FROM household WHERE meter = :meter", "there is no meter {meter}"),
                ("SELECT 1 FROM tariff WHERE name = :tariff", "there is no tariff {tariff}"),
            ],
            ["UPDATE household SET tariff = :tariff WHERE meter = :meter"],
        ),
        update_tool(
            "bill",
            "meter:int amount:int",
            "bill a meter for an amount",
            [
                ("SELECT 1 FROM household WHERE meter = :meter", "there is no meter {meter}"),
                ("SELECT 1 WHERE :amount > 0", "the amount must be greater than 0"),
            ],
            [
                "INSERT INTO bill SELECT max(id) + 1, :meter, :amount FROM bill",
                "UPDATE household SET due = due + :amount WHERE meter = :meter",
            ],
            "SELECT max(id) FROM bill",
        ),
    ),
)

# pairs of months: the first and the second, the second and the third, the first and the third
_SPANS = " UNION ".join(
    f"SELECT '{MONTHS[a]}' AS start, '{MONTHS[b]}' AS end" for a, b in ((0, 1), (1, 2), (0, 2))
)


@ENERGY.task(
    1,
    "SELECT meter FROM household",
    "Which household does meter {meter} belong to?",
    "Whose household is meter {meter} in?",
)
def household(tools: Tools, meter: int) -> str:
    return tools.meter_household(meter=meter)


@ENERGY.task(
    1,
    "SELECT meter, month FROM reading",
    "What was the reading of meter {meter} in {month}?",
    "What did meter {meter} read in {month}?",
)
def reading(tools: Tools, meter: int, month: str) -> int:
    return tools.reading(meter=meter, month=month)


@ENERGY.task(
    2,
    "SELECT meter FROM household",
    "What is the price of meter {meter}'s tariff?",
    "What price does meter {meter} pay under its tariff?",
)
def tariff_price(tools: Tools, meter: int) -> int:
    return tools.tariff_price(tariff=tools.meter_tariff(meter=meter))


@ENERGY.task(
    2,
    f"SELECT meter, start, end FROM household, ({_SPANS})",
    "How much did meter {meter} use from {start} to {end}?",
    "By how much did the reading of meter {meter} rise from {start} to {end}?",
)
def used(tools: Tools, meter: int, start: str, end: str) -> int:
    return tools.reading(meter=meter, month=end) - tools.reading(meter=meter, month=start)


@ENERGY.task(
    3,
    "SELECT h.name AS household, t.name AS tariff FROM household h, tariff t WHERE t.name <> tariff",
    "Change the tariff of {household}'s meter to {tariff}. Which meter is it?",
    "{household} wants to switch to the {tariff} tariff. Do it and tell me the meter's number.",
)
def new_tariff(tools: Tools, household: str, tariff: str) -> int:
    meter = tools.household_meter(household=household)
    tools.set_tariff(meter=meter, tariff=tariff)
    return meter


@ENERGY.task(
    4,
    f"SELECT meter, start, end FROM household, ({_SPANS})",
    "Bill meter {meter} for its use from {start} to {end} at the price of its tariff. What is the amount?",
    "Send a bill for what meter {meter} used from {start} to {end}, at the price of its tariff. How much is it?",
)
def bill(tools: Tools, meter: int, start: str, end: str) -> int:
    used = tools.reading(meter=meter, month=end) - tools.reading(meter=meter, month=start)
    amount = used * tools.tariff_price(tariff=tools.meter_tariff(meter=meter))
    tools.bill(meter=meter, amount=amount)
    return amount


@ENERGY.task(
    5,
    f"SELECT name AS household, start, end FROM household, ({_SPANS})",
    "Switch {household} to the cheapest tariff, then bill the use from {start} to {end} at its price. "
    "Which tariff is it?",
    "{household} should get the tariff with the lowest price and a bill at that price for the use from {start} to "
    "{end}. Which tariff is it?",
)
def cheaper(tools: Tools, household: str, start: str, end: str) -> str:
    meter = tools.household_meter(household=household)
    used = tools.reading(meter=meter, month=end) - tools.reading(meter=meter, month=start)
    best = min([[tools.tariff_price(tariff=t), t] for t in tools.tariffs()])
    tools.set_tariff(meter=meter, tariff=best[1])
    tools.bill(meter=meter, amount=used * best[0])
    return best[1]
