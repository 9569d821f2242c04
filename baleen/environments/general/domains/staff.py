"""A company: who reports to whom, teams on floors, days of leave."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import PEOPLE, different, ids, some, spread


def _fill_staff(rng: random.Random, size: int) -> Rows:
    people = some(rng, PEOPLE, size)
    teams = some(rng, ["sales", "legal", "design", "data", "press", "labs", "web", "ops"], max(2, size // 3))
    return {
        "person": [
            (p, None if i == 0 else people[(i - 1) // 2], t, d)
            for i, (p, t, d) in enumerate(
                zip(people, spread(rng, teams, size), different(rng, size, 2, 30), strict=True)
            )
        ],
        "team": [
            (t, f, b)
            for t, f, b in zip(teams, ids(rng, len(teams)), different(rng, len(teams), 20, 99), strict=True)
        ],
        "leave": [(people[-1], 1)],
    }


def _boss(tools: Tools, person: str) -> str:
    return tools.boss(person=person)


def _days(tools: Tools, person: str) -> int:
    return tools.days_left(person=person)


def _bosses_boss(tools: Tools, person: str) -> str:
    return tools.boss(person=tools.boss(person=person))


def _floor(tools: Tools, person: str) -> int:
    return tools.team_floor(team=tools.person_team(person=person))


def _leave(tools: Tools, person: str, days: int) -> str:
    tools.take_leave(person=person, days=days)
    return tools.boss(person=person)


def _join_boss(tools: Tools, person: str) -> str:
    team = tools.person_team(person=tools.boss(person=person))
    tools.set_team(person=person, team=team)
    return team


def _all_leave(tools: Tools, boss: str, days: int) -> int:
    count = 0
    for person in tools.reports(boss=boss):
        if tools.days_left(person=person) >= days:
            tools.take_leave(person=person, days=days)
            count += 1
    return count


STAFF = DomainSpec(
    name="staff",
    tables={
        "person": "name TEXT PRIMARY KEY, boss TEXT, team TEXT, days INTEGER",
        "team": "name TEXT PRIMARY KEY, floor INTEGER, budget INTEGER",
        "leave": "person TEXT, days INTEGER",
    },
    fill=_fill_staff,
    tools=(
        look("boss", "person", "boss of a person", "SELECT boss FROM person WHERE name = :person"),
        look("person_team", "person", "team of a person", "SELECT team FROM person WHERE name = :person"),
        look("days_left", "person", "days of leave left", "SELECT days FROM person WHERE name = :person"),
        look(
            "reports",
            "boss",
            "people under a boss",
            "SELECT name FROM person WHERE boss = :boss ORDER BY 1",
            "column",
        ),
        look("team_floor", "team", "floor of a team", "SELECT floor FROM team WHERE name = :team"),
        change(
            "take_leave",
            "person days:int",
            "enter days of leave",
            [
                ("SELECT 1 WHERE :days > 0", "days must be above 0"),
                ("SELECT 1 FROM person WHERE name = :person AND days >= :days", "{person} has too few days"),
            ],
            [
                "UPDATE person SET days = days - :days WHERE name = :person",
                "INSERT INTO leave VALUES (:person, :days)",
            ],
        ),
        change(
            "set_team",
            "person team",
            "move a person to a team",
            [
                ("SELECT 1 FROM person WHERE name = :person", "no person {person}"),
                ("SELECT 1 FROM team WHERE name = :team", "no team {team}"),
            ],
            ["UPDATE person SET team = :team WHERE name = :person"],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT name AS person FROM person WHERE boss NOTNULL",
            ("Boss of {person}?", "Who is boss of person {person}?"),
            _boss,
        ),
        TaskShape(
            1,
            "SELECT name AS person FROM person",
            ("Days of leave left for {person}?", "How many days left has person {person}?"),
            _days,
        ),
        TaskShape(
            2,
            "SELECT p.name AS person FROM person p JOIN person b ON p.boss = b.name WHERE b.boss NOTNULL",
            ("Boss of the boss of {person}?", "Who is the boss of the boss of person {person}?"),
            _bosses_boss,
        ),
        TaskShape(
            2,
            "SELECT name AS person FROM person",
            ("Floor of the team of {person}?", "On which floor sits the team of {person}?"),
            _floor,
        ),
        TaskShape(
            3,
            "SELECT name AS person, 1 + days % 2 AS days FROM person WHERE boss NOTNULL",
            (
                "Enter {days} days of leave for {person}. Who is the boss?",
                "{person} is away for {days} days: enter the leave and name the boss to tell.",
            ),
            _leave,
        ),
        TaskShape(
            4,
            "SELECT p.name AS person FROM person p JOIN person b ON p.boss = b.name WHERE p.team <> b.team",
            (
                "Move {person} to the team of the boss. Which team?",
                "{person} joins the team of the own boss. Set it and name the team.",
            ),
            _join_boss,
        ),
        TaskShape(
            5,
            "SELECT boss, 3 + count(*) % 5 AS days FROM person WHERE boss NOTNULL GROUP BY 1",
            (
                "Enter {days} days of leave for everybody under {boss} who has as many left. For how many people?",
                "{boss} closes the office for {days} days: all direct reports with "
                "enough days take leave. How many are they?",
            ),
            _all_leave,
        ),
    ),
)
