"""A gym: plans that allow so many classes, coaches, places left."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import CLASSES, PEOPLE, different, ids, some, spread


def _fill_gym(rng: random.Random, size: int) -> Rows:
    members, coaches = some(rng, PEOPLE, size + 3)[:size], [f"Coach{n}" for n in ids(rng, 3)]
    classes, plans = some(rng, CLASSES, max(4, size // 2)), ["basic", "plus", "gold"]
    return {
        "plan": [
            (p, price, n)
            for p, price, n in zip(plans, sorted(different(rng, 3, 20, 90)), (1, 2, 4), strict=True)
        ],
        "member": [(m, p) for m, p in zip(members, spread(rng, plans, size), strict=True)],
        "class": [
            (c, k, hour, places)
            for c, k, hour, places in zip(
                classes,
                spread(rng, coaches, len(classes)),
                different(rng, len(classes), 6, 22),
                spread(rng, [0, 1, 2, 3, 5], len(classes)),
                strict=True,
            )
        ],
        "joined": [
            (m, c) for m, c in zip(members[: size // 2], spread(rng, classes, size // 2), strict=True)
        ],
    }


def _hour(tools: Tools, sport: str) -> int:
    return tools.class_hour(sport=sport)


def _coach(tools: Tools, sport: str) -> str:
    return tools.class_coach(sport=sport)


def _fee(tools: Tools, member: str) -> int:
    return tools.plan_fee(plan=tools.member_plan(member=member))


def _member_hour(tools: Tools, member: str) -> int:
    return tools.class_hour(sport=tools.member_class(member=member))


def _join(tools: Tools, member: str, sport: str) -> int:
    tools.join(member=member, sport=sport)
    return tools.class_hour(sport=sport)


def _upgrade(tools: Tools, member: str, plan: str) -> int:
    before = tools.plan_fee(plan=tools.member_plan(member=member))
    tools.set_plan(member=member, plan=plan)
    return tools.plan_fee(plan=plan) - before


def _first_free(tools: Tools, member: str, coach: str) -> str:
    free = [
        [tools.class_hour(sport=s), s]
        for s in tools.coach_classes(coach=coach)
        if tools.class_places(sport=s) > 0
    ]
    tools.join(member=member, sport=min(free)[1])
    return min(free)[1]


_CAN_JOIN = (
    "(SELECT classes FROM member JOIN plan ON plan = plan.name WHERE member.name = m.name) > "
    "(SELECT count(*) FROM joined WHERE member = m.name)"
)

GYM = DomainSpec(
    name="gym",
    tables={
        "plan": "name TEXT PRIMARY KEY, fee INTEGER, classes INTEGER",
        "member": "name TEXT PRIMARY KEY, plan TEXT",
        "class": "sport TEXT PRIMARY KEY, coach TEXT, hour INTEGER, places INTEGER",
        "joined": "member TEXT, sport TEXT",
    },
    fill=_fill_gym,
    tools=(
        look("class_hour", "sport", "hour of a class", "SELECT hour FROM class WHERE sport = :sport"),
        look("class_coach", "sport", "coach of a class", "SELECT coach FROM class WHERE sport = :sport"),
        look(
            "class_places", "sport", "places left in a class", "SELECT places FROM class WHERE sport = :sport"
        ),
        look(
            "coach_classes",
            "coach",
            "classes of a coach",
            "SELECT sport FROM class WHERE coach = :coach ORDER BY 1",
            "column",
        ),
        look("member_plan", "member", "plan of a member", "SELECT plan FROM member WHERE name = :member"),
        look(
            "member_class", "member", "class of a member", "SELECT sport FROM joined WHERE member = :member"
        ),
        look("plan_fee", "plan", "monthly fee of a plan", "SELECT fee FROM plan WHERE name = :plan"),
        change(
            "join",
            "member sport",
            "put a member in a class",
            [
                ("SELECT 1 FROM member WHERE name = :member", "no member {member}"),
                ("SELECT 1 FROM class WHERE sport = :sport AND places > 0", "no place left in {sport}"),
                (
                    "SELECT 1 FROM member m WHERE name = :member AND " + _CAN_JOIN,
                    "the plan of {member} allows no more",
                ),
            ],
            [
                "INSERT INTO joined VALUES (:member, :sport)",
                "UPDATE class SET places = places - 1 WHERE sport = :sport",
            ],
        ),
        change(
            "set_plan",
            "member plan",
            "change the plan of a member",
            [
                ("SELECT 1 FROM member WHERE name = :member", "no member {member}"),
                ("SELECT 1 FROM plan WHERE name = :plan", "no plan {plan}"),
            ],
            ["UPDATE member SET plan = :plan WHERE name = :member"],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT sport FROM class",
            ("Hour of the {sport} class?", "At what hour is class {sport}?"),
            _hour,
        ),
        TaskShape(
            1,
            "SELECT sport FROM class",
            ("Coach of the {sport} class?", "Which coach gives {sport}?"),
            _coach,
        ),
        TaskShape(
            2,
            "SELECT name AS member FROM member",
            ("Fee of the plan of {member}?", "What fee does member {member} pay a month for the plan?"),
            _fee,
        ),
        TaskShape(
            2,
            "SELECT member FROM joined",
            ("Hour of the class of {member}?", "At what hour does member {member} have class?"),
            _member_hour,
        ),
        TaskShape(
            3,
            "SELECT m.name AS member, sport FROM member m, class WHERE places > 0 AND NOT EXISTS "
            f"(SELECT 1 FROM joined j WHERE j.member = m.name AND j.sport = class.sport) AND {_CAN_JOIN}",
            (
                "Put {member} in the {sport} class. Its hour?",
                "{member} joins {sport}. Do it; at what hour is it?",
            ),
            _join,
        ),
        TaskShape(
            4,
            "SELECT m.name AS member, p.name AS plan FROM member m, plan p, plan old "
            "WHERE old.name = m.plan AND p.fee > old.fee",
            (
                "Change the plan of {member} to {plan}. How much more is the fee?",
                "{member} moves up to plan {plan}: change it. By how much does the fee grow?",
            ),
            _upgrade,
        ),
        TaskShape(
            4,
            "SELECT m.name AS member, coach FROM member m, class WHERE places > 0 "
            f"AND m.name NOT IN (SELECT member FROM joined) AND {_CAN_JOIN} GROUP BY 1, 2 HAVING count(*) > 1",
            (
                "Put {member} in the earliest class of {coach} with a place left. Which?",
                "{member} wants the first class of {coach} in the day that is not full. Do it and name it.",
            ),
            _first_free,
        ),
    ),
)
