"""A ticket office: shows in halls, seats by section, fans who buy them."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import CITIES, PEOPLE, SHOWS, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    shows, halls = sample(rng, SHOWS, size), [f"{c} hall" for c in sample(rng, CITIES, max(3, size // 3))]
    fans = sample(rng, PEOPLE, size)
    return {
        "show": [
            (s, h, d)
            for s, h, d in zip(shows, spread(rng, halls, size), distinct(rng, size, 1, 30), strict=True)
        ],
        "hall": [
            (h, p, n)
            for h, p, n in zip(
                halls, distinct(rng, len(halls), 3, 25), ids(rng, len(halls), 100, 999), strict=True
            )
        ],
        "seats": [
            (s, part, price, left)
            for s in shows
            for part, price, left in zip(
                ("floor", "side", "back"),
                distinct(rng, 3, 10, 90),
                spread(rng, [0, 2, 4, 7], 3),
                strict=True,
            )
        ],
        "sale": [
            (n, f, s, "floor", 1) for n, f, s in zip(ids(rng, size // 2, 200, 800), fans, shows, strict=False)
        ],
        "fan": [(f, v) for f, v in zip(fans, distinct(rng, size, 20, 400), strict=True)],
    }


EVENTS = DomainSpec(
    name="events",
    tables={
        "show": "name TEXT PRIMARY KEY, hall TEXT, day INTEGER",
        "hall": "name TEXT PRIMARY KEY, parking INTEGER, phone INTEGER",
        "seats": "show TEXT, section TEXT, price INTEGER, free INTEGER",
        "sale": "id INTEGER PRIMARY KEY, fan TEXT, show TEXT, section TEXT, count INTEGER",
        "fan": "name TEXT PRIMARY KEY, credit INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool("show_day", "show", "day of a show", "SELECT day FROM show WHERE name = :show"),
        query_tool("show_hall", "show", "hall of a show", "SELECT hall FROM show WHERE name = :show"),
        query_tool(
            "hall_parking",
            "hall",
            "price of parking at a hall",
            "SELECT parking FROM hall WHERE name = :hall",
        ),
        query_tool(
            "sections",
            "show",
            "sections of a show",
            "SELECT section FROM seats WHERE show = :show ORDER BY 1",
            "column",
        ),
        query_tool(
            "seat_price",
            "show section",
            "price of a seat in a section",
            "SELECT price FROM seats WHERE show = :show AND section = :section",
        ),
        query_tool(
            "seats_left",
            "show section",
            "number of seats left in a section",
            "SELECT free FROM seats WHERE show = :show AND section = :section",
        ),
        query_tool(
            "fan_show", "fan", "show that a fan has seats for", "SELECT show FROM sale WHERE fan = :fan"
        ),
        update_tool(
            "buy",
            "fan show section count:int",
            "buy seats for a fan",
            [
                ("SELECT 1 FROM fan WHERE name = :fan", "there is no fan {fan}"),
                ("SELECT 1 WHERE :count BETWEEN 1 AND 6", "count must be from 1 to 6"),
                (
                    "SELECT 1 FROM seats WHERE show = :show AND section = :section AND free >= :count",
                    "there are not enough seats",
                ),
            ],
            [
                "INSERT INTO sale SELECT max(id) + 1, :fan, :show, :section, :count FROM sale",
                "UPDATE seats SET free = free - :count WHERE show = :show AND section = :section",
            ],
            "SELECT max(id) FROM sale",
        ),
        update_tool(
            "refund",
            "fan show",
            "refund the seats of a fan",
            [("SELECT 1 FROM sale WHERE fan = :fan AND show = :show", "{fan} has no seats for {show}")],
            [
                "UPDATE seats SET free = free + (SELECT count FROM sale WHERE fan = :fan AND sale.show = :show) "
                "WHERE show = :show AND section = (SELECT section FROM sale WHERE fan = :fan AND sale.show = :show)",
                "DELETE FROM sale WHERE fan = :fan AND show = :show",
            ],
        ),
    ),
)

_NO_SALE = "SELECT name AS fan FROM fan WHERE name NOT IN (SELECT fan FROM sale)"


@EVENTS.task(
    1,
    "SELECT name AS show FROM show",
    "On which day is the show {show}?",
    "What day of the month is {show} on?",
)
def day(tools: Tools, show: str) -> int:
    return tools.show_day(show=show)


@EVENTS.task(
    1,
    "SELECT show, section FROM seats",
    "What is the price of a {section} seat for {show}?",
    "How much does a seat in the {section} section cost for {show}?",
)
def seat_price(tools: Tools, show: str, section: str) -> int:
    return tools.seat_price(show=show, section=section)


@EVENTS.task(
    2,
    "SELECT name AS show FROM show",
    "What is the price of parking at the hall of the show {show}?",
    "How much does parking cost at the hall where {show} is on?",
)
def parking(tools: Tools, show: str) -> int:
    return tools.hall_parking(hall=tools.show_hall(show=show))


@EVENTS.task(
    2,
    "SELECT fan FROM sale",
    "On which day is the show that {fan} has seats for?",
    "What day of the month is {fan} going to a show?",
)
def fan_day(tools: Tools, fan: str) -> int:
    return tools.show_day(show=tools.fan_show(fan=fan))


@EVENTS.task(
    3,
    f"SELECT fan, show, section FROM seats, ({_NO_SALE}) WHERE free > 1",
    "Buy {fan} 2 {section} seats for {show}. What is the total price?",
    "{fan} wants 2 seats for {show} in the {section} section. Buy them. What is the total price?",
)
def buy(tools: Tools, fan: str, show: str, section: str) -> int:
    tools.buy(fan=fan, show=show, section=section, count=2)
    return 2 * tools.seat_price(show=show, section=section)


@EVENTS.task(
    3,
    "SELECT fan FROM sale",
    "Refund {fan}'s seats. Which show were they for?",
    "{fan} is sick. Refund the seats and tell me which show they were for.",
)
def refund(tools: Tools, fan: str) -> str:
    show = tools.fan_show(fan=fan)
    tools.refund(fan=fan, show=show)
    return show


@EVENTS.task(
    4,
    f"SELECT fan, a.show AS first, b.show AS second, a.section AS section FROM seats a, seats b, ({_NO_SALE}) "
    "WHERE a.show <> b.show AND a.section = b.section AND a.free > 0 AND b.free > 0",
    "Buy {fan} a {section} seat for {first} or {second}, whichever is on the earlier day. Which show is it?",
    "{fan} wants to see {first} or {second}, whichever comes first. Buy a seat in the {section} section. "
    "Which show is it?",
)
def earlier(tools: Tools, fan: str, first: str, second: str, section: str) -> str:
    chosen = first if tools.show_day(show=first) < tools.show_day(show=second) else second
    tools.buy(fan=fan, show=chosen, section=section, count=1)
    return chosen


@EVENTS.task(
    5,
    f"SELECT fan, show, 2 AS count FROM seats, ({_NO_SALE}) WHERE free > 1 GROUP BY 1, 2 HAVING count(*) > 1",
    "Buy {fan} {count} seats for {show} in the cheapest section that has enough seats left. Which section is it?",
    "{fan} needs {count} seats in the same section for {show}, as cheaply as possible. Buy them and name the section.",
)
def cheapest_section(tools: Tools, fan: str, show: str, count: int) -> str:
    fitting = []
    for section in tools.sections(show=show):
        if tools.seats_left(show=show, section=section) >= count:
            fitting.append([tools.seat_price(show=show, section=section), section])
    tools.buy(fan=fan, show=show, section=min(fitting)[1], count=count)
    return min(fitting)[1]
