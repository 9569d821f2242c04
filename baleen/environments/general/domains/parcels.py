"""A parcel service: weights, rates by zone, depots with lockers."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import CITIES, PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    zones, depots = ["north", "south", "east", "west"], sample(rng, CITIES, max(3, size // 3))
    parcels, lockers = ids(rng, size, 100, 900), ids(rng, size)
    return {
        "parcel": [
            (p, w, z, d, None)
            for p, w, z, d in zip(
                parcels,
                distinct(rng, size, 2, 2 + 2 * size + 8),
                spread(rng, zones, size),
                spread(rng, depots, size),
                strict=True,
            )
        ],
        "depot": [
            (d, k, n)
            for d, k, n in zip(
                depots, sample(rng, PEOPLE, len(depots)), distinct(rng, len(depots), 10, 90), strict=True
            )
        ],
        "zone": [(z, r) for z, r in zip(zones, distinct(rng, 4, 2, 12), strict=True)],
        "locker": [
            (k, d, w, int(rng.random() < 0.25))
            for k, d, w in zip(
                lockers, spread(rng, depots, size), distinct(rng, size, 5, 15 + 2 * size), strict=True
            )
        ],
    }


PARCELS = DomainSpec(
    name="parcels",
    tables={
        "parcel": "id INTEGER PRIMARY KEY, weight INTEGER, zone TEXT, depot TEXT, locker INTEGER",
        "depot": "city TEXT PRIMARY KEY, clerk TEXT, staff INTEGER",
        "zone": "name TEXT PRIMARY KEY, rate INTEGER",
        "locker": "id INTEGER PRIMARY KEY, depot TEXT, holds INTEGER, used INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool(
            "parcel_weight",
            "parcel:int",
            "weight of a parcel",
            "SELECT weight FROM parcel WHERE id = :parcel",
        ),
        query_tool(
            "parcel_zone", "parcel:int", "zone of a parcel", "SELECT zone FROM parcel WHERE id = :parcel"
        ),
        query_tool(
            "parcel_depot", "parcel:int", "depot of a parcel", "SELECT depot FROM parcel WHERE id = :parcel"
        ),
        query_tool("depot_clerk", "depot", "clerk of a depot", "SELECT clerk FROM depot WHERE city = :depot"),
        query_tool("zone_rate", "zone", "rate of a zone", "SELECT rate FROM zone WHERE name = :zone"),
        query_tool(
            "free_lockers",
            "depot",
            "free lockers of a depot",
            "SELECT id AS locker, holds FROM locker WHERE depot = :depot AND NOT used ORDER BY id",
            "rows",
        ),
        update_tool(
            "send",
            "parcel:int depot",
            "send a parcel to a depot",
            [
                (
                    "SELECT 1 FROM parcel WHERE id = :parcel AND locker IS NULL",
                    "parcel {parcel} is in a locker or does not exist",
                ),
                ("SELECT 1 FROM depot WHERE city = :depot", "there is no depot {depot}"),
                (
                    "SELECT 1 FROM parcel WHERE id = :parcel AND depot <> :depot",
                    "parcel {parcel} is already there",
                ),
            ],
            ["UPDATE parcel SET depot = :depot WHERE id = :parcel"],
        ),
        update_tool(
            "store",
            "parcel:int locker:int",
            "put a parcel in a locker",
            [
                (
                    "SELECT 1 FROM parcel WHERE id = :parcel AND locker IS NULL",
                    "parcel {parcel} is in a locker or does not exist",
                ),
                ("SELECT 1 FROM locker WHERE id = :locker AND NOT used", "locker {locker} is not free"),
                (
                    "SELECT 1 FROM parcel p JOIN locker l ON p.depot = l.depot AND p.weight <= l.holds "
                    "WHERE p.id = :parcel AND l.id = :locker",
                    "parcel {parcel} is too heavy for locker {locker} or at another depot",
                ),
            ],
            [
                "UPDATE parcel SET locker = :locker WHERE id = :parcel",
                "UPDATE locker SET used = 1 WHERE id = :locker",
            ],
        ),
    ),
)


@PARCELS.task(
    1,
    "SELECT id AS parcel FROM parcel",
    "What is the weight of parcel {parcel}?",
    "How much does parcel {parcel} weigh?",
)
def weight(tools: Tools, parcel: int) -> int:
    return tools.parcel_weight(parcel=parcel)


@PARCELS.task(
    1,
    "SELECT id AS parcel FROM parcel",
    "What is the zone of parcel {parcel}?",
    "Which zone does parcel {parcel} go to?",
)
def zone(tools: Tools, parcel: int) -> str:
    return tools.parcel_zone(parcel=parcel)


@PARCELS.task(
    2,
    "SELECT id AS parcel FROM parcel",
    "Who is the clerk of the depot where parcel {parcel} is?",
    "Parcel {parcel} is at a depot. Who is the clerk there?",
)
def clerk(tools: Tools, parcel: int) -> str:
    return tools.depot_clerk(depot=tools.parcel_depot(parcel=parcel))


@PARCELS.task(
    3,
    "SELECT id AS parcel, city AS depot FROM parcel, depot WHERE depot <> city",
    "Send parcel {parcel} to the {depot} depot. Who is the clerk there?",
    "Parcel {parcel} has to go to the {depot} depot. Send it. Who is the clerk there?",
)
def send_on(tools: Tools, parcel: int, depot: str) -> str:
    tools.send(parcel=parcel, depot=depot)
    return tools.depot_clerk(depot=depot)


@PARCELS.task(
    3,
    "SELECT id AS parcel FROM parcel",
    "What is the weight of parcel {parcel} times the rate of its zone?",
    "How much is the postage of parcel {parcel}, its weight times the rate of its zone?",
)
def postage(tools: Tools, parcel: int) -> int:
    return tools.parcel_weight(parcel=parcel) * tools.zone_rate(zone=tools.parcel_zone(parcel=parcel))


@PARCELS.task(
    4,
    "SELECT a.id AS first, b.id AS second, city AS depot FROM parcel a, parcel b, depot "
    "WHERE a.id <> b.id AND a.depot <> city AND b.depot <> city",
    "Send the heavier of parcels {first} and {second} to the {depot} depot. Which one is it?",
    "The {depot} depot should get parcel {first} or parcel {second}, whichever weighs more. Send it and tell me its "
    "number.",
)
def heavier(tools: Tools, first: int, second: int, depot: str) -> int:
    chosen = first if tools.parcel_weight(parcel=first) > tools.parcel_weight(parcel=second) else second
    tools.send(parcel=chosen, depot=depot)
    return chosen


@PARCELS.task(
    5,
    "SELECT p.id AS parcel FROM parcel p JOIN locker l ON l.depot = p.depot AND holds >= weight WHERE NOT used "
    "GROUP BY 1",
    "Put parcel {parcel} in the smallest free locker of its depot that holds its weight. Which locker is it?",
    "Put parcel {parcel} in a free locker of its depot. Of those that hold its weight, take the one that holds the "
    "least. Which locker is it?",
)
def smallest_locker(tools: Tools, parcel: int) -> int:
    weight, fitting = tools.parcel_weight(parcel=parcel), []
    for locker in tools.free_lockers(depot=tools.parcel_depot(parcel=parcel)):
        if locker["holds"] >= weight:
            fitting.append([locker["holds"], locker["locker"]])
    tools.store(parcel=parcel, locker=min(fitting)[1])
    return min(fitting)[1]
