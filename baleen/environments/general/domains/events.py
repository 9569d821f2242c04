"""Shows in halls: seats by section, fans who buy them."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CITIES, PEOPLE, SHOWS, different, ids, some, spread


def _fill_events(rng: random.Random, size: int) -> Rows:
    shows, halls = some(rng, SHOWS, size), [f"{c} hall" for c in some(rng, CITIES, max(3, size // 3))]
    fans = some(rng, PEOPLE, size)
    return {
        "show": [
            (s, h, d)
            for s, h, d in zip(shows, spread(rng, halls, size), different(rng, size, 1, 30), strict=True)
        ],
        "hall": [
            (h, p, n)
            for h, p, n in zip(
                halls, different(rng, len(halls), 3, 25), ids(rng, len(halls), 100, 999), strict=True
            )
        ],
        "seats": [
            (s, part, price, left)
            for s in shows
            for part, price, left in zip(
                ("floor", "side", "back"),
                different(rng, 3, 10, 90),
                spread(rng, [0, 2, 4, 7], 3),
                strict=True,
            )
        ],
        "sale": [
            (n, f, s, "floor", 1) for n, f, s in zip(ids(rng, size // 2, 200, 800), fans, shows, strict=False)
        ],
        "fan": [(f, v) for f, v in zip(fans, different(rng, size, 20, 400), strict=True)],
    }


def _day(tools: Tools, show: str) -> int:
    return tools.show_day(show=show)


def _seat_price(tools: Tools, show: str, section: str) -> int:
    return tools.seat_price(show=show, section=section)


def _parking(tools: Tools, show: str) -> int:
    return tools.hall_parking(hall=tools.show_hall(show=show))


def _fan_day(tools: Tools, fan: str) -> int:
    return tools.show_day(show=tools.fan_show(fan=fan))


def _buy(tools: Tools, fan: str, show: str, section: str) -> int:
    tools.buy(fan=fan, show=show, section=section, count=2)
    return 2 * tools.seat_price(show=show, section=section)


def _refund(tools: Tools, fan: str) -> str:
    show = tools.fan_show(fan=fan)
    tools.refund(fan=fan, show=show)
    return show


def _earlier(tools: Tools, fan: str, first: str, second: str, section: str) -> str:
    chosen = first if tools.show_day(show=first) < tools.show_day(show=second) else second
    tools.buy(fan=fan, show=chosen, section=section, count=1)
    return chosen


def _cheapest_section(tools: Tools, fan: str, show: str, count: int) -> str:
    fitting = []
    for section in tools.sections(show=show):
        if tools.seats_left(show=show, section=section) >= count:
            fitting.append([tools.seat_price(show=show, section=section), section])
    tools.buy(fan=fan, show=show, section=min(fitting)[1], count=count)
    return min(fitting)[1]


_NO_SALE = "SELECT name AS fan FROM fan WHERE name NOT IN (SELECT fan FROM sale)"

EVENTS = DomainSpec(
    name="events",
    tables={
        "show": "name TEXT PRIMARY KEY, hall TEXT, day INTEGER",
        "hall": "name TEXT PRIMARY KEY, parking INTEGER, phone INTEGER",
        "seats": "show TEXT, section TEXT, price INTEGER, free INTEGER",
        "sale": "id INTEGER PRIMARY KEY, fan TEXT, show TEXT, section TEXT, count INTEGER",
        "fan": "name TEXT PRIMARY KEY, credit INTEGER",
    },
    fill=_fill_events,
    tools=(
        look("show_day", "show", "day of a show", "SELECT day FROM show WHERE name = :show"),
        look("show_hall", "show", "hall of a show", "SELECT hall FROM show WHERE name = :show"),
        look(
            "hall_parking",
            "hall",
            "price of parking at a hall",
            "SELECT parking FROM hall WHERE name = :hall",
        ),
        look(
            "sections",
            "show",
            "sections of a show",
            "SELECT section FROM seats WHERE show = :show ORDER BY 1",
            "column",
        ),
        look(
            "seat_price",
            "show section",
            "price of a seat",
            "SELECT price FROM seats WHERE show = :show AND section = :section",
        ),
        look(
            "seats_left",
            "show section",
            "seats left",
            "SELECT free FROM seats WHERE show = :show AND section = :section",
        ),
        look("fan_show", "fan", "show a fan has seats for", "SELECT show FROM sale WHERE fan = :fan"),
        change(
            "buy",
            "fan show section count:int",
            "buy seats",
            [
                ("SELECT 1 FROM fan WHERE name = :fan", "no fan {fan}"),
                ("SELECT 1 WHERE :count BETWEEN 1 AND 6", "count must be 1 to 6"),
                (
                    "SELECT 1 FROM seats WHERE show = :show AND section = :section AND free >= :count",
                    "not enough seats",
                ),
            ],
            [
                "INSERT INTO sale SELECT max(id) + 1, :fan, :show, :section, :count FROM sale",
                "UPDATE seats SET free = free - :count WHERE show = :show AND section = :section",
            ],
            "SELECT max(id) FROM sale",
        ),
        change(
            "refund",
            "fan show",
            "take a fan's seats back",
            [("SELECT 1 FROM sale WHERE fan = :fan AND show = :show", "{fan} has no seats for {show}")],
            [
                "UPDATE seats SET free = free + (SELECT count FROM sale WHERE fan = :fan AND sale.show = :show) "
                "WHERE show = :show AND section = (SELECT section FROM sale WHERE fan = :fan AND sale.show = :show)",
                "DELETE FROM sale WHERE fan = :fan AND show = :show",
            ],
        ),
    ),
    shapes=(
        TaskShape(
            1, "SELECT name AS show FROM show", ("Day of show {show}?", "On which day is {show}?"), _day
        ),
        TaskShape(
            1,
            "SELECT show, section FROM seats",
            (
                "Price of a {section} seat for show {show}?",
                "What does a seat at {show} cost, section {section}?",
            ),
            _seat_price,
        ),
        TaskShape(
            2,
            "SELECT name AS show FROM show",
            ("Price of parking at the hall of show {show}?", "What is parking at {show}? See its hall."),
            _parking,
        ),
        TaskShape(
            2,
            "SELECT fan FROM sale",
            ("Day of the show {fan} has seats for?", "On which day does fan {fan} see a show?"),
            _fan_day,
        ),
        TaskShape(
            3,
            f"SELECT fan, show, section FROM seats, ({_NO_SALE}) WHERE free > 1",
            (
                "Buy 2 {section} seats at {show} for {fan}. Total price?",
                "{fan} wants 2 seats for {show}, section {section}: buy. Price of both?",
            ),
            _buy,
        ),
        TaskShape(
            3,
            "SELECT fan FROM sale",
            (
                "Take back the seats of {fan}. Which show?",
                "{fan} is ill: refund the seats and name the show.",
            ),
            _refund,
        ),
        TaskShape(
            4,
            f"SELECT fan, a.show AS first, b.show AS second, a.section AS section FROM seats a, seats b, ({_NO_SALE}) "
            "WHERE a.show <> b.show AND a.section = b.section AND a.free > 0 AND b.free > 0",
            (
                "Buy {fan} a {section} seat at {first} or {second}, whichever day is earlier. Which show?",
                "{fan} sees {first} or {second}, the one on the earlier day, section "
                "{section}. Buy a seat; which show?",
            ),
            _earlier,
        ),
        TaskShape(
            5,
            f"SELECT fan, show, 2 AS count FROM seats, ({_NO_SALE}) WHERE free > 1 GROUP BY 1, 2 HAVING count(*) > 1",
            (
                "Buy {fan} {count} seats at {show} in the cheapest section with enough left. Which section?",
                "{fan} takes {count} seats for {show}, as cheap as still possible. Buy them and name the section.",
            ),
            _cheapest_section,
        ),
    ),
)
