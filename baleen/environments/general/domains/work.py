"""Tickets for events by section; an issue tracker with blockers and owners."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CITIES, PEOPLE, different, ids, some, spread

SHOWS = "Aida Boheme Carmen Duel Elektra Fidelio Galileo Hamlet Ivanov Jenufa Lulu Macbeth Norma Oberon".split()
COMPONENTS = "parser cache editor search login export mailer billing".split()


def _fill_events(rng: random.Random, size: int) -> Rows:
    shows, halls = some(rng, SHOWS, size), [f"{c} hall" for c in some(rng, CITIES, max(3, size // 3))]
    fans = some(rng, PEOPLE, size)
    return {
        "show": [(s, h, d) for s, h, d in zip(shows, spread(rng, halls, size), different(rng, size, 1, 30), strict=True)],
        "hall": [(h, p, n) for h, p, n in zip(halls, different(rng, len(halls), 3, 25), ids(rng, len(halls), 100, 999), strict=True)],
        "seats": [
            (s, part, price, left)
            for s in shows
            for part, price, left in zip(("floor", "side", "back"), different(rng, 3, 10, 90), spread(rng, [0, 2, 4, 7], 3), strict=True)
        ],
        "sale": [(n, f, s, "floor", 1) for n, f, s in zip(ids(rng, size // 2, 200, 800), fans, shows, strict=False)],
        "fan": [(f, v) for f, v in zip(fans, different(rng, size, 20, 400), strict=True)],
    }  # fmt: skip


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
        look("hall_parking", "hall", "price of parking at a hall", "SELECT parking FROM hall WHERE name = :hall"),
        look("sections", "show", "sections of a show", "SELECT section FROM seats WHERE show = :show ORDER BY 1", "column"),
        look("seat_price", "show section", "price of a seat", "SELECT price FROM seats WHERE show = :show AND section = :section"),
        look("seats_left", "show section", "seats left", "SELECT free FROM seats WHERE show = :show AND section = :section"),
        look("fan_show", "fan", "show a fan has seats for", "SELECT show FROM sale WHERE fan = :fan"),
        change(
            "buy", "fan show section count:int", "buy seats",
            [
                ("SELECT 1 FROM fan WHERE name = :fan", "no fan {fan}"),
                ("SELECT 1 WHERE :count BETWEEN 1 AND 6", "count must be 1 to 6"),
                ("SELECT 1 FROM seats WHERE show = :show AND section = :section AND free >= :count", "not enough seats"),
            ],
            [
                "INSERT INTO sale SELECT max(id) + 1, :fan, :show, :section, :count FROM sale",
                "UPDATE seats SET free = free - :count WHERE show = :show AND section = :section",
            ],
            "SELECT max(id) FROM sale",
        ),
        change(
            "refund", "fan show", "take a fan's seats back",
            [("SELECT 1 FROM sale WHERE fan = :fan AND show = :show", "{fan} has no seats for {show}")],
            [
                "UPDATE seats SET free = free + (SELECT count FROM sale WHERE fan = :fan AND sale.show = :show) "
                "WHERE show = :show AND section = (SELECT section FROM sale WHERE fan = :fan AND sale.show = :show)",
                "DELETE FROM sale WHERE fan = :fan AND show = :show",
            ],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT name AS show FROM show", ("Day of show {show}?", "On which day is {show}?"), _day),
        TaskShape(
            1, "SELECT show, section FROM seats",
            ("Price of a {section} seat for show {show}?", "What does a seat at {show} cost, section {section}?"), _seat_price,
        ),
        TaskShape(2, "SELECT name AS show FROM show", ("Price of parking at the hall of show {show}?", "What is parking at {show}? See its hall."), _parking),
        TaskShape(2, "SELECT fan FROM sale", ("Day of the show {fan} has seats for?", "On which day does fan {fan} see a show?"), _fan_day),
        TaskShape(
            3, f"SELECT fan, show, section FROM seats, ({_NO_SALE}) WHERE free > 1",
            ("Buy 2 {section} seats at {show} for {fan}. Total price?", "{fan} wants 2 seats for {show}, section {section}: buy. Price of both?"), _buy,
        ),
        TaskShape(3, "SELECT fan FROM sale", ("Take back the seats of {fan}. Which show?", "{fan} is ill: refund the seats and name the show."), _refund),
        TaskShape(
            4, f"SELECT fan, a.show AS first, b.show AS second, a.section AS section FROM seats a, seats b, ({_NO_SALE}) "
            "WHERE a.show <> b.show AND a.section = b.section AND a.free > 0 AND b.free > 0",
            (
                "Buy {fan} a {section} seat at {first} or {second}, whichever day is earlier. Which show?",
                "{fan} sees {first} or {second}, the one on the earlier day, section {section}. Buy a seat; which show?",
            ),
            _earlier,
        ),
        TaskShape(
            5, f"SELECT fan, show, 2 AS count FROM seats, ({_NO_SALE}) WHERE free > 1 GROUP BY 1, 2 HAVING count(*) > 1",
            (
                "Buy {fan} {count} seats at {show} in the cheapest section with enough left. Which section?",
                "{fan} takes {count} seats for {show}, as cheap as still possible. Buy them and name the section.",
            ),
            _cheapest_section,
        ),
    ),
)  # fmt: skip


def _fill_tracker(rng: random.Random, size: int) -> Rows:
    developers, components = some(rng, PEOPLE, max(3, size // 2)), some(rng, COMPONENTS, max(3, size // 3))
    issues = ids(rng, 2 * size, 100, 999)
    rows = []
    for index, issue in enumerate(issues):
        blocker = rng.choice(issues[:index]) if index and rng.random() < 0.6 else None
        state = "open" if rng.random() < 0.7 else "closed"
        rows.append((issue, rng.choice(components), rng.randint(1, 5), rng.choice(developers), state, blocker))
    return {
        "developer": [(d, n) for d, n in zip(developers, different(rng, len(developers), 1, 30), strict=True)],
        "component": [(c, d, v) for c, d, v in zip(components, spread(rng, developers, len(components)), ids(rng, len(components)), strict=True)],
        "issue": rows,
        "knows": [(d, c) for c in components for d in some(rng, developers, 2)],
    }  # fmt: skip


def _assignee(tools: Tools, issue: int) -> str:
    return tools.issue_developer(issue=issue)


def _component(tools: Tools, issue: int) -> str:
    return tools.issue_component(issue=issue)


def _owner(tools: Tools, issue: int) -> str:
    return tools.component_owner(component=tools.issue_component(issue=issue))


def _blocker_owner(tools: Tools, issue: int) -> str:
    return tools.issue_developer(issue=tools.issue_blocker(issue=issue))


def _to_owner(tools: Tools, issue: int) -> str:
    owner = tools.component_owner(component=tools.issue_component(issue=issue))
    tools.assign(issue=issue, developer=owner)
    return owner


def _close_blocker(tools: Tools, issue: int) -> int:
    blocker = tools.issue_blocker(issue=issue)
    tools.close_issue(issue=blocker)
    return blocker


def _close_or_assign(tools: Tools, issue: int, developer: str) -> str:
    blocker = tools.issue_blocker(issue=issue)
    if tools.issue_state(issue=blocker) == "closed":
        tools.close_issue(issue=issue)
        return "closed"
    tools.assign(issue=blocker, developer=developer)
    return "assigned"


def _least_loaded(tools: Tools, issue: int) -> str:
    loads = []
    for developer in tools.experts(component=tools.issue_component(issue=issue)):
        loads.append([tools.developer_load(developer=developer), developer])
    tools.assign(issue=issue, developer=min(loads)[1])
    return min(loads)[1]


TRACKER = DomainSpec(
    name="tracker",
    tables={
        "developer": "name TEXT PRIMARY KEY, load INTEGER",
        "component": "name TEXT PRIMARY KEY, owner TEXT, version INTEGER",
        "issue": "id INTEGER PRIMARY KEY, component TEXT, severity INTEGER, developer TEXT, state TEXT, blocker INTEGER",
        "knows": "developer TEXT, component TEXT",
    },
    fill=_fill_tracker,
    tools=(
        look("issue_developer", "issue:int", "developer of an issue", "SELECT developer FROM issue WHERE id = :issue"),
        look("issue_component", "issue:int", "component of an issue", "SELECT component FROM issue WHERE id = :issue"),
        look("issue_state", "issue:int", "state of an issue", "SELECT state FROM issue WHERE id = :issue"),
        look("issue_blocker", "issue:int", "issue that blocks an issue", "SELECT blocker FROM issue WHERE id = :issue", missing="nothing blocks {issue}"),
        look("component_owner", "component", "owner of a component", "SELECT owner FROM component WHERE name = :component"),
        look("experts", "component", "developers who know it", "SELECT developer FROM knows WHERE component = :component ORDER BY 1", "column"),
        look("developer_load", "developer", "load of a developer", "SELECT load FROM developer WHERE name = :developer"),
        change(
            "assign", "issue:int developer", "give an issue to a developer",
            [
                ("SELECT 1 FROM issue WHERE id = :issue AND state = 'open'", "issue {issue} is not open"),
                ("SELECT 1 FROM developer WHERE name = :developer", "no developer {developer}"),
            ],
            [
                "UPDATE issue SET developer = :developer WHERE id = :issue",
                "UPDATE developer SET load = load + 1 WHERE name = :developer",
            ],
            "SELECT load FROM developer WHERE name = :developer",
        ),
        change(
            "close_issue", "issue:int", "close an issue",
            [
                ("SELECT 1 FROM issue WHERE id = :issue AND state = 'open'", "issue {issue} is not open"),
                ("SELECT 1 FROM issue i WHERE id = :issue AND (blocker IS NULL OR "
                 "(SELECT state FROM issue b WHERE b.id = i.blocker) = 'closed')", "issue {issue} is blocked"),
            ],
            ["UPDATE issue SET state = 'closed' WHERE id = :issue"],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT id AS issue FROM issue", ("Developer of issue {issue}?", "Which developer has issue {issue}?"), _assignee),
        TaskShape(1, "SELECT id AS issue FROM issue", ("Component of issue {issue}?", "In which component is issue {issue}?"), _component),
        TaskShape(2, "SELECT id AS issue FROM issue", ("Owner of the component of issue {issue}?", "Issue {issue}: who owns its component?"), _owner),
        TaskShape(
            2, "SELECT id AS issue FROM issue WHERE blocker NOTNULL",
            ("Developer of the issue that blocks {issue}?", "What blocks issue {issue}? Name the developer who has it."), _blocker_owner,
        ),
        TaskShape(
            3, "SELECT id AS issue FROM issue WHERE state = 'open'",
            ("Give issue {issue} to the owner of its component. Who?", "Issue {issue} goes to whoever owns the component: assign it and name the owner."), _to_owner,
        ),
        TaskShape(
            3, "SELECT i.id AS issue FROM issue i JOIN issue b ON i.blocker = b.id WHERE b.state = 'open' AND b.blocker IS NULL",
            ("Close the issue that blocks {issue}. Which?", "Issue {issue} is blocked: close what blocks it and give that number."), _close_blocker,
        ),
        TaskShape(
            4, "SELECT i.id AS issue, name AS developer FROM issue i JOIN developer WHERE i.blocker NOTNULL AND i.state = 'open'",
            (
                "If what blocks issue {issue} is closed, close {issue}; else assign the blocker to {developer}. "
                "Which: closed or assigned?",
                "Issue {issue}: close it if its blocker is closed, if not give the blocker to {developer}. "
                "Say closed or assigned.",
            ),
            _close_or_assign,
        ),
        TaskShape(
            5, "SELECT i.id AS issue FROM issue i WHERE state = 'open'",
            (
                "Give issue {issue} to the developer with least load among those who know its component. Who?",
                "Who knows the component of issue {issue} and has least to do? Assign it to that developer; the name?",
            ),
            _least_loaded,
        ),
    ),
)  # fmt: skip
