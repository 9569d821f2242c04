"""A gym: plans that allow a number of classes, coaches, spots left."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import CLASSES, PEOPLE, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    members, coaches = sample(rng, PEOPLE, size + 3)[:size], [f"Coach{n}" for n in ids(rng, 3)]
    classes, plans = sample(rng, CLASSES, max(4, size // 2)), ["basic", "plus", "gold"]
    return {
        "plan": [
            (p, price, n)
            for p, price, n in zip(plans, sorted(distinct(rng, 3, 20, 90)), (1, 2, 4), strict=True)
        ],
        "member": [(m, p) for m, p in zip(members, spread(rng, plans, size), strict=True)],
        "class": [
            (c, k, hour, spots)
            for c, k, hour, spots in zip(
                classes,
                spread(rng, coaches, len(classes)),
                distinct(rng, len(classes), 6, 22),
                spread(rng, [0, 1, 2, 3, 5], len(classes)),
                strict=True,
            )
        ],
        "joined": [
            (m, c) for m, c in zip(members[: size // 2], spread(rng, classes, size // 2), strict=True)
        ],
    }


_CAN_JOIN = (
    "(SELECT classes FROM member JOIN plan ON plan = plan.name WHERE member.name = m.name) > "
    "(SELECT count(*) FROM joined WHERE member = m.name)"
)

GYM = DomainSpec(
    name="gym",
    tables={
        "plan": "name TEXT PRIMARY KEY, fee INTEGER, classes INTEGER",
        "member": "name TEXT PRIMARY KEY, plan TEXT",
        "class": "sport TEXT PRIMARY KEY, coach TEXT, hour INTEGER, spots INTEGER",
        "joined": "member TEXT, sport TEXT",
    },
    fill=_fill,
    tools=(
        query_tool("class_hour", "sport", "hour of a class", "SELECT hour FROM class WHERE sport = :sport"),
        query_tool(
            "class_coach", "sport", "coach of a class", "SELECT coach FROM class WHERE sport = :sport"
        ),
        query_tool(
            "class_spots", "sport", "spots left in a class", "SELECT spots FROM class WHERE sport = :sport"
        ),
        query_tool(
            "coach_classes",
            "coach",
            "classes of a coach",
            "SELECT sport FROM class WHERE coach = :coach ORDER BY 1",
            "column",
        ),
        query_tool(
            "member_plan", "member", "plan of a member", "SELECT plan FROM member WHERE name = :member"
        ),
        query_tool(
            "member_class", "member", "class of a member", "SELECT sport FROM joined WHERE member = :member"
        ),
        query_tool("plan_fee", "plan", "monthly fee of a plan", "SELECT fee FROM plan WHERE name = :plan"),
        update_tool(
            "join",
            "member sport",
            "sign a member up for a class",
            [
                ("SELECT 1 FROM member WHERE name = :member", "there is no member {member}"),
                (
                    "SELECT 1 FROM class WHERE sport = :sport AND spots > 0",
                    "there are no spots left in {sport}",
                ),
                (
                    "SELECT 1 FROM member m WHERE name = :member AND " + _CAN_JOIN,
                    "{member}'s plan allows no more classes",
                ),
            ],
            [
                "INSERT INTO joined VALUES (:member, :sport)",
                "UPDATE class SET spots = spots - 1 WHERE sport = :sport",
            ],
        ),
        update_tool(
            "set_plan",
            "member plan",
            "change the plan of a member",
            [
                ("SELECT 1 FROM member WHERE name = :member", "there is no member {member}"),
                ("SELECT 1 FROM plan WHERE name = :plan", "there is no plan {plan}"),
            ],
            ["UPDATE member SET plan = :plan WHERE name = :member"],
        ),
    ),
)


@GYM.task(
    1,
    "SELECT sport FROM class",
    "At what hour is the {sport} class?",
    "When does the {sport} class start?",
)
def hour(tools: Tools, sport: str) -> int:
    return tools.class_hour(sport=sport)


@GYM.task(
    1,
    "SELECT sport FROM class",
    "Who is the coach of the {sport} class?",
    "Which coach teaches the {sport} class?",
)
def coach(tools: Tools, sport: str) -> str:
    return tools.class_coach(sport=sport)


@GYM.task(
    2,
    "SELECT name AS member FROM member",
    "What is the monthly fee of {member}'s plan?",
    "What monthly fee does {member} pay?",
)
def fee(tools: Tools, member: str) -> int:
    return tools.plan_fee(plan=tools.member_plan(member=member))


@GYM.task(
    2,
    "SELECT member FROM joined",
    "At what hour is {member}'s class?",
    "When does {member} have class?",
)
def member_hour(tools: Tools, member: str) -> int:
    return tools.class_hour(sport=tools.member_class(member=member))


@GYM.task(
    3,
    "SELECT m.name AS member, sport FROM member m, class WHERE spots > 0 AND NOT EXISTS "
    f"(SELECT 1 FROM joined j WHERE j.member = m.name AND j.sport = class.sport) AND {_CAN_JOIN}",
    "Sign {member} up for the {sport} class. At what hour is it?",
    "{member} wants to join the {sport} class. Do it and tell me the hour of the class.",
)
def join(tools: Tools, member: str, sport: str) -> int:
    tools.join(member=member, sport=sport)
    return tools.class_hour(sport=sport)


@GYM.task(
    4,
    "SELECT m.name AS member, p.name AS plan FROM member m, plan p, plan old "
    "WHERE old.name = m.plan AND p.fee > old.fee",
    "Change {member}'s plan to {plan}. By how much does the monthly fee go up?",
    "{member} is upgrading to the {plan} plan. Make the change. How much higher is the monthly fee?",
)
def upgrade(tools: Tools, member: str, plan: str) -> int:
    before = tools.plan_fee(plan=tools.member_plan(member=member))
    tools.set_plan(member=member, plan=plan)
    return tools.plan_fee(plan=plan) - before


@GYM.task(
    4,
    "SELECT m.name AS member, coach FROM member m, class WHERE spots > 0 "
    f"AND m.name NOT IN (SELECT member FROM joined) AND {_CAN_JOIN} GROUP BY 1, 2 HAVING count(*) > 1",
    "Sign {member} up for the earliest of {coach}'s classes that has a spot left. Which class is it?",
    "{member} wants the first class of the day with {coach} that is not full. Sign them up. Which class is it?",
)
def first_free(tools: Tools, member: str, coach: str) -> str:
    free = [
        [tools.class_hour(sport=s), s]
        for s in tools.coach_classes(coach=coach)
        if tools.class_spots(sport=s) > 0
    ]
    tools.join(member=member, sport=min(free)[1])
    return min(free)[1]
