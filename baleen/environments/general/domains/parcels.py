"""Parcels: weights, rates by zone, depots with lockers."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CITIES, PEOPLE, different, ids, some, spread


def _fill_parcels(rng: random.Random, size: int) -> Rows:
    zones, depots = ["north", "south", "east", "west"], some(rng, CITIES, max(3, size // 3))
    parcels, lockers = ids(rng, size, 100, 900), ids(rng, size)
    return {
        "parcel": [
            (p, w, z, d, None)
            for p, w, z, d in zip(
                parcels,
                different(rng, size, 2, 2 + 2 * size + 8),
                spread(rng, zones, size),
                spread(rng, depots, size),
                strict=True,
            )
        ],
        "depot": [
            (d, k, n)
            for d, k, n in zip(
                depots, some(rng, PEOPLE, len(depots)), different(rng, len(depots), 10, 90), strict=True
            )
        ],
        "zone": [(z, r) for z, r in zip(zones, different(rng, 4, 2, 12), strict=True)],
        "locker": [
            (k, d, w, int(rng.random() < 0.25))
            for k, d, w in zip(
                lockers, spread(rng, depots, size), different(rng, size, 5, 15 + 2 * size), strict=True
            )
        ],
    }


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
        look(
            "parcel_weight",
            "parcel:int",
            "weight of a parcel",
            "SELECT weight FROM parcel WHERE id = :parcel",
        ),
        look("parcel_zone", "parcel:int", "zone of a parcel", "SELECT zone FROM parcel WHERE id = :parcel"),
        look(
            "parcel_depot", "parcel:int", "depot of a parcel", "SELECT depot FROM parcel WHERE id = :parcel"
        ),
        look("depot_clerk", "depot", "clerk of a depot", "SELECT clerk FROM depot WHERE city = :depot"),
        look("zone_rate", "zone", "rate of a zone", "SELECT rate FROM zone WHERE name = :zone"),
        look(
            "free_lockers",
            "depot",
            "free lockers of a depot",
            "SELECT id AS locker, holds FROM locker WHERE depot = :depot AND NOT used ORDER BY id",
            "rows",
        ),
        change(
            "send",
            "parcel:int depot",
            "send a parcel to a depot",
            [
                ("SELECT 1 FROM parcel WHERE id = :parcel AND locker IS NULL", "no parcel {parcel} to send"),
                ("SELECT 1 FROM depot WHERE city = :depot", "no depot {depot}"),
                ("SELECT 1 FROM parcel WHERE id = :parcel AND depot <> :depot", "{parcel} is there already"),
            ],
            ["UPDATE parcel SET depot = :depot WHERE id = :parcel"],
        ),
        change(
            "store",
            "parcel:int locker:int",
            "put a parcel in a locker",
            [
                (
                    "SELECT 1 FROM parcel WHERE id = :parcel AND locker IS NULL",
                    "parcel {parcel} is in a locker",
                ),
                ("SELECT 1 FROM locker WHERE id = :locker AND NOT used", "locker {locker} is not free"),
                (
                    "SELECT 1 FROM parcel p JOIN locker l ON p.depot = l.depot AND p.weight <= l.holds "
                    "WHERE p.id = :parcel AND l.id = :locker",
                    "locker {locker} does not suit parcel {parcel}",
                ),
            ],
            [
                "UPDATE parcel SET locker = :locker WHERE id = :parcel",
                "UPDATE locker SET used = 1 WHERE id = :locker",
            ],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT id AS parcel FROM parcel",
            ("Weight of parcel {parcel}?", "What weight has parcel {parcel}?"),
            _weight,
        ),
        TaskShape(
            1,
            "SELECT id AS parcel FROM parcel",
            ("Zone of parcel {parcel}?", "To which zone goes parcel {parcel}?"),
            _zone,
        ),
        TaskShape(
            2,
            "SELECT id AS parcel FROM parcel",
            ("Clerk of the depot of parcel {parcel}?", "Parcel {parcel}: which clerk has its depot?"),
            _clerk,
        ),
        TaskShape(
            3,
            "SELECT id AS parcel, city AS depot FROM parcel, depot WHERE depot <> city",
            (
                "Send parcel {parcel} to depot {depot}. Who is the clerk there?",
                "Parcel {parcel} moves to depot {depot}: send it and name that depot's clerk.",
            ),
            _send_on,
        ),
        TaskShape(
            3,
            "SELECT id AS parcel FROM parcel",
            (
                "Weight of parcel {parcel} times the rate of its zone?",
                "Postage of parcel {parcel}: weight times rate of the zone?",
            ),
            _postage,
        ),
        TaskShape(
            4,
            "SELECT a.id AS first, b.id AS second, city AS depot FROM parcel a, parcel b, depot "
            "WHERE a.id <> b.id AND a.depot <> city AND b.depot <> city",
            (
                "Send the heavier of parcels {first} and {second} to depot {depot}. Which?",
                "Depot {depot} gets parcel {first} or {second}, whichever weighs more. Send it; its number?",
            ),
            _heavier,
        ),
        TaskShape(
            5,
            "SELECT p.id AS parcel FROM parcel p JOIN locker l ON l.depot = p.depot AND holds >= weight WHERE NOT used "
            "GROUP BY 1",
            (
                "Store parcel {parcel} in the smallest free locker of its depot that holds its weight. Which?",
                "Parcel {parcel} waits in its depot: put it in the free locker that "
                "holds least but enough. The locker?",
            ),
            _locker,
        ),
    ),
)
