"""A school: lessons by period, classes in rooms, teachers of subjects."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import PEOPLE, SUBJECTS, distinct, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    teachers = sample(rng, PEOPLE, size)
    groups = [f"{n}{c}" for n in range(5, 5 + max(2, size // 3)) for c in "ab"]
    subjects = sample(rng, SUBJECTS, max(3, size // 2))
    taught = spread(rng, subjects, size)
    lessons = ids(rng, 2 * size, 10, 99)
    rows, seen = [], set()
    for lesson in lessons:
        index = rng.randrange(size)
        period = rng.randint(1, 6)
        if (teachers[index], period) not in seen:
            seen.add((teachers[index], period))
            rows.append((lesson, rng.choice(groups), taught[index], teachers[index], period))
    return {
        "teacher": [(t, s, h) for t, s, h in zip(teachers, taught, distinct(rng, size, 5, 40), strict=True)],
        "class": [
            (g, r, n)
            for g, r, n in zip(
                groups, ids(rng, len(groups), 100, 400), distinct(rng, len(groups), 15, 33), strict=True
            )
        ],
        "lesson": rows,
    }


SCHOOL = DomainSpec(
    name="school",
    tables={
        "teacher": "name TEXT PRIMARY KEY, subject TEXT, hours INTEGER",
        "class": "name TEXT PRIMARY KEY, room INTEGER, students INTEGER",
        "lesson": "id INTEGER PRIMARY KEY, class TEXT, subject TEXT, teacher TEXT, period INTEGER",
    },
    fill=_fill,
    tools=(
        query_tool("class_room", "group", "room of a class", "SELECT room FROM class WHERE name = :group"),
        query_tool(
            "teacher_hours",
            "teacher",
            "weekly hours of a teacher",
            "SELECT hours FROM teacher WHERE name = :teacher",
        ),
        query_tool(
            "teachers",
            "subject",
            "teachers of a subject",
            "SELECT name FROM teacher WHERE subject = :subject ORDER BY 1",
            "column",
        ),
        query_tool(
            "busy_periods",
            "teacher",
            "periods when a teacher is busy",
            "SELECT period FROM lesson WHERE teacher = :teacher ORDER BY 1",
            "column",
        ),
        query_tool(
            "lesson_class", "lesson:int", "class of a lesson", "SELECT class FROM lesson WHERE id = :lesson"
        ),
        query_tool(
            "lesson_teacher",
            "lesson:int",
            "teacher of a lesson",
            "SELECT teacher FROM lesson WHERE id = :lesson",
        ),
        query_tool(
            "lesson_subject",
            "lesson:int",
            "subject of a lesson",
            "SELECT subject FROM lesson WHERE id = :lesson",
        ),
        query_tool(
            "lesson_period",
            "lesson:int",
            "period of a lesson",
            "SELECT period FROM lesson WHERE id = :lesson",
        ),
        update_tool(
            "move",
            "lesson:int period:int",
            "move a lesson to a period",
            [
                ("SELECT 1 FROM lesson WHERE id = :lesson", "there is no lesson {lesson}"),
                ("SELECT 1 WHERE :period BETWEEN 1 AND 8", "the period must be from 1 to 8"),
                (
                    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM lesson a JOIN lesson b ON a.teacher = b.teacher "
                    "WHERE a.id = :lesson AND b.period = :period)",
                    "the teacher is busy in period {period}",
                ),
            ],
            ["UPDATE lesson SET period = :period WHERE id = :lesson"],
        ),
        update_tool(
            "assign",
            "lesson:int teacher",
            "assign a lesson to a teacher",
            [
                (
                    "SELECT 1 FROM lesson JOIN teacher ON name = :teacher AND teacher.subject = lesson.subject "
                    "WHERE id = :lesson",
                    "{teacher} does not teach this subject",
                ),
                (
                    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM lesson a JOIN lesson b ON a.period = b.period "
                    "WHERE a.id = :lesson AND b.teacher = :teacher)",
                    "{teacher} is busy in that period",
                ),
            ],
            [
                "UPDATE lesson SET teacher = :teacher WHERE id = :lesson",
                "UPDATE teacher SET hours = hours + 1 WHERE name = :teacher",
            ],
            "SELECT hours FROM teacher WHERE name = :teacher",
        ),
    ),
)


@SCHOOL.task(
    1,
    'SELECT name AS "group" FROM class',
    "What is the room of class {group}?",
    "Which room is class {group} in?",
)
def class_room(tools: Tools, group: str) -> int:
    return tools.class_room(group=group)


@SCHOOL.task(
    1,
    "SELECT name AS teacher FROM teacher",
    "How many weekly hours does teacher {teacher} have?",
    "How many hours does {teacher} teach every week?",
)
def hours(tools: Tools, teacher: str) -> int:
    return tools.teacher_hours(teacher=teacher)


@SCHOOL.task(
    2,
    "SELECT id AS lesson FROM lesson",
    "What is the room of the class that has lesson {lesson}?",
    "Which room is the class with lesson {lesson} in?",
)
def lesson_room(tools: Tools, lesson: int) -> int:
    return tools.class_room(group=tools.lesson_class(lesson=lesson))


@SCHOOL.task(
    2,
    "SELECT id AS lesson FROM lesson",
    "How many weekly hours does the teacher of lesson {lesson} have?",
    "How many hours does the teacher of lesson {lesson} teach every week?",
)
def lesson_hours(tools: Tools, lesson: int) -> int:
    return tools.teacher_hours(teacher=tools.lesson_teacher(lesson=lesson))


@SCHOOL.task(
    3,
    "SELECT id AS lesson, 7 + id % 2 AS period FROM lesson",
    "Move lesson {lesson} to period {period}. Which class is it for?",
    "Lesson {lesson} has to move to period {period}. Do it and tell me the class.",
)
def move(tools: Tools, lesson: int, period: int) -> str:
    tools.move(lesson=lesson, period=period)
    return tools.lesson_class(lesson=lesson)


@SCHOOL.task(
    4,
    "SELECT l.id AS lesson, a.period AS first, 7 + l.id % 2 AS second FROM lesson l "
    "JOIN lesson a ON a.teacher = l.teacher AND a.id <> l.id UNION SELECT id, 7, 8 FROM lesson",
    "Move lesson {lesson} to period {first} if its teacher is free then, otherwise to period {second}. "
    "Which period is it?",
    "Lesson {lesson} should move to period {first}, or to period {second} if the teacher is busy in period {first}. "
    "Move it and tell me the period.",
)
def move_to_free(tools: Tools, lesson: int, first: int, second: int) -> int:
    taken = tools.busy_periods(teacher=tools.lesson_teacher(lesson=lesson))
    period = second if first in taken else first
    tools.move(lesson=lesson, period=period)
    return period


@SCHOOL.task(
    5,
    "SELECT l.id AS lesson FROM lesson l JOIN teacher t ON t.subject = l.subject AND t.name <> l.teacher "
    "WHERE NOT EXISTS (SELECT 1 FROM lesson b WHERE b.teacher = t.name AND b.period = l.period) GROUP BY 1",
    "Assign lesson {lesson} to another teacher of its subject who is free in its period and has the fewest weekly "
    "hours. Who is it?",
    "The teacher of lesson {lesson} is sick. Of the other teachers of the subject who are free in that period, assign "
    "it to the one with the fewest weekly hours. Who is it?",
)
def substitute(tools: Tools, lesson: int) -> str:
    sick, free = tools.lesson_teacher(lesson=lesson), []
    for teacher in tools.teachers(subject=tools.lesson_subject(lesson=lesson)):
        if teacher != sick and tools.lesson_period(lesson=lesson) not in tools.busy_periods(teacher=teacher):
            free.append([tools.teacher_hours(teacher=teacher), teacher])
    tools.assign(lesson=lesson, teacher=min(free)[1])
    return min(free)[1]
