"""A company: who reports to whom, teams on floors, days of leave."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    people = sample(rng, PEOPLE, size)
    teams = sample(
        rng, ["sales", "legal", "design", "data", "press", "labs", "web", "ops"], max(2, size // 3)
    )
    return {
        "employee": [
            (p, None if i == 0 else people[(i - 1) // 2], t, d)
            for i, (p, t, d) in enumerate(
                zip(people, spread(rng, teams, size), distinct(rng, size, 2, 30), strict=True)
            )
        ],
        "team": [
            (t, f, b)
            for t, f, b in zip(teams, ids(rng, len(teams)), distinct(rng, len(teams), 20, 99), strict=True)
        ],
        "leave": [(people[-1], 1)],
    }


STAFF = DomainSpec(
    name="staff",
    tables={
        "employee": "name TEXT PRIMARY KEY, boss TEXT, team TEXT, days INTEGER",
        "team": "name TEXT PRIMARY KEY, floor INTEGER, budget INTEGER",
        "leave": "employee TEXT, days INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool(
            "boss", "employee", "boss of an employee", "SELECT boss FROM employee WHERE name = :employee"
        ),
        query_tool(
            "employee_team",
            "employee",
            "team of an employee",
            "SELECT team FROM employee WHERE name = :employee",
        ),
        query_tool(
            "days_left",
            "employee",
            "days of leave that an employee has left",
            "SELECT days FROM employee WHERE name = :employee",
        ),
        query_tool(
            "reports",
            "boss",
            "direct reports of a boss",
            "SELECT name FROM employee WHERE boss = :boss ORDER BY 1",
            "column",
        ),
        query_tool("team_floor", "team", "floor of a team", "SELECT floor FROM team WHERE name = :team"),
        update_tool(
            "take_leave",
            "employee days:int",
            "record days of leave for an employee",
            [
                ("SELECT 1 WHERE :days > 0", "days must be greater than 0"),
                (
                    "SELECT 1 FROM employee WHERE name = :employee AND days >= :days",
                    "{employee} does not have enough days left",
                ),
            ],
            [
                "UPDATE employee SET days = days - :days WHERE name = :employee",
                "INSERT INTO leave VALUES (:employee, :days)",
            ],
        ),
        update_tool(
            "set_team",
            "employee team",
            "move an employee to a team",
            [
                ("SELECT 1 FROM employee WHERE name = :employee", "there is no employee {employee}"),
                ("SELECT 1 FROM team WHERE name = :team", "there is no team {team}"),
            ],
            ["UPDATE employee SET team = :team WHERE name = :employee"],
        ),
    ),
)


@STAFF.task(
    1,
    "SELECT name AS employee FROM employee WHERE boss NOTNULL",
    "Who is the boss of {employee}?",
    "Who does {employee} report to?",
)
def boss(tools: Tools, employee: str) -> str:
    return tools.boss(employee=employee)


@STAFF.task(
    1,
    "SELECT name AS employee FROM employee",
    "How many days of leave does {employee} have left?",
    "How many more days of leave can {employee} take?",
)
def days_left(tools: Tools, employee: str) -> int:
    return tools.days_left(employee=employee)


@STAFF.task(
    2,
    "SELECT p.name AS employee FROM employee p JOIN employee b ON p.boss = b.name WHERE b.boss NOTNULL",
    "Who is the boss of {employee}'s boss?",
    "Who does {employee}'s boss report to?",
)
def bosses_boss(tools: Tools, employee: str) -> str:
    return tools.boss(employee=tools.boss(employee=employee))


@STAFF.task(
    2,
    "SELECT name AS employee FROM employee",
    "On which floor is {employee}'s team?",
    "Which floor is the team of {employee} on?",
)
def floor(tools: Tools, employee: str) -> int:
    return tools.team_floor(team=tools.employee_team(employee=employee))


@STAFF.task(
    3,
    "SELECT name AS employee, 2 + days % 2 AS days FROM employee WHERE boss NOTNULL",
    "Record {days} days of leave for {employee}. Who is their boss?",
    "{employee} will be away for {days} days. Record the leave and tell me who their boss is.",
)
def leave(tools: Tools, employee: str, days: int) -> str:
    tools.take_leave(employee=employee, days=days)
    return tools.boss(employee=employee)


@STAFF.task(
    4,
    "SELECT p.name AS employee FROM employee p JOIN employee b ON p.boss = b.name WHERE p.team <> b.team",
    "Move {employee} to the team of their boss. Which team is it?",
    "{employee} is joining their boss's team. Make the change and tell me the team.",
)
def join_boss(tools: Tools, employee: str) -> str:
    team = tools.employee_team(employee=tools.boss(employee=employee))
    tools.set_team(employee=employee, team=team)
    return team


@STAFF.task(
    5,
    "SELECT boss, 3 + count(*) % 5 AS days FROM employee WHERE boss NOTNULL GROUP BY 1",
    "Record {days} days of leave for everyone who reports directly to {boss} and has that many left. "
    "How many people is that?",
    "{boss}'s office closes for {days} days, so each direct report with enough days left takes leave. Record it. "
    "How many people is that?",
)
def all_leave(tools: Tools, boss: str, days: int) -> int:
    count = 0
    for employee in tools.reports(boss=boss):
        if tools.days_left(employee=employee) >= days:
            tools.take_leave(employee=employee, days=days)
            count += 1
    return count
