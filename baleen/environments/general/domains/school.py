"""A school: lessons by period, classes in rooms, teachers of subjects."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import PEOPLE, SUBJECTS, different, ids, some, spread


def _fill_school(rng: random.Random, size: int) -> Rows:
    teachers, groups = (
        some(rng, PEOPLE, size),
        [f"{n}{c}" for n in range(5, 5 + max(2, size // 3)) for c in "ab"],
    )
    subjects = some(rng, SUBJECTS, max(3, size // 2))
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
        "teacher": [(t, s, h) for t, s, h in zip(teachers, taught, different(rng, size, 5, 40), strict=True)],
        "class": [
            (g, r, n)
            for g, r, n in zip(
                groups, ids(rng, len(groups), 100, 400), different(rng, len(groups), 15, 33), strict=True
            )
        ],
        "lesson": rows,
    }


def _class_room(tools: Tools, group: str) -> int:
    return tools.class_room(group=group)


def _hours(tools: Tools, teacher: str) -> int:
    return tools.teacher_hours(teacher=teacher)


def _lesson_room(tools: Tools, lesson: int) -> int:
    return tools.class_room(group=tools.lesson_class(lesson=lesson))


def _lesson_hours(tools: Tools, lesson: int) -> int:
    return tools.teacher_hours(teacher=tools.lesson_teacher(lesson=lesson))


def _move(tools: Tools, lesson: int, period: int) -> str:
    tools.move(lesson=lesson, period=period)
    return tools.lesson_class(lesson=lesson)


def _substitute(tools: Tools, lesson: int) -> str:
    ill, free = tools.lesson_teacher(lesson=lesson), []
    for teacher in tools.teachers(subject=tools.lesson_subject(lesson=lesson)):
        if teacher != ill and tools.lesson_period(lesson=lesson) not in tools.busy(teacher=teacher):
            free.append([tools.teacher_hours(teacher=teacher), teacher])
    tools.assign(lesson=lesson, teacher=min(free)[1])
    return min(free)[1]


def _larger(tools: Tools, lesson: int, first: int, second: int) -> int:
    taken = tools.busy(teacher=tools.lesson_teacher(lesson=lesson))
    period = second if first in taken else first
    tools.move(lesson=lesson, period=period)
    return period


SCHOOL = DomainSpec(
    name="school",
    tables={
        "teacher": "name TEXT PRIMARY KEY, subject TEXT, hours INTEGER",
        "class": "name TEXT PRIMARY KEY, room INTEGER, pupils INTEGER",
        "lesson": "id INTEGER PRIMARY KEY, class TEXT, subject TEXT, teacher TEXT, period INTEGER",
    },
    fill=_fill_school,
    tools=(
        look("class_room", "group", "room of a class", "SELECT room FROM class WHERE name = :group"),
        look(
            "teacher_hours",
            "teacher",
            "hours of a teacher",
            "SELECT hours FROM teacher WHERE name = :teacher",
        ),
        look(
            "teachers",
            "subject",
            "teachers of a subject",
            "SELECT name FROM teacher WHERE subject = :subject ORDER BY 1",
            "column",
        ),
        look(
            "busy",
            "teacher",
            "periods a teacher is busy",
            "SELECT period FROM lesson WHERE teacher = :teacher ORDER BY 1",
            "column",
        ),
        look(
            "lesson_class", "lesson:int", "class of a lesson", "SELECT class FROM lesson WHERE id = :lesson"
        ),
        look(
            "lesson_teacher",
            "lesson:int",
            "teacher of a lesson",
            "SELECT teacher FROM lesson WHERE id = :lesson",
        ),
        look(
            "lesson_subject",
            "lesson:int",
            "subject of a lesson",
            "SELECT subject FROM lesson WHERE id = :lesson",
        ),
        look(
            "lesson_period",
            "lesson:int",
            "period of a lesson",
            "SELECT period FROM lesson WHERE id = :lesson",
        ),
        change(
            "move",
            "lesson:int period:int",
            "move a lesson to a period",
            [
                ("SELECT 1 FROM lesson WHERE id = :lesson", "no lesson {lesson}"),
                ("SELECT 1 WHERE :period BETWEEN 1 AND 8", "the period must be 1 to 8"),
                (
                    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM lesson a JOIN lesson b ON a.teacher = b.teacher "
                    "WHERE a.id = :lesson AND b.period = :period)",
                    "the teacher is busy in period {period}",
                ),
            ],
            ["UPDATE lesson SET period = :period WHERE id = :lesson"],
        ),
        change(
            "assign",
            "lesson:int teacher",
            "give a lesson to a teacher",
            [
                (
                    "SELECT 1 FROM lesson JOIN teacher ON name = :teacher AND teacher.subject = lesson.subject "
                    "WHERE id = :lesson",
                    "{teacher} does not teach this",
                ),
                (
                    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM lesson a JOIN lesson b ON a.period = b.period "
                    "WHERE a.id = :lesson AND b.teacher = :teacher)",
                    "{teacher} is busy then",
                ),
            ],
            [
                "UPDATE lesson SET teacher = :teacher WHERE id = :lesson",
                "UPDATE teacher SET hours = hours + 1 WHERE name = :teacher",
            ],
            "SELECT hours FROM teacher WHERE name = :teacher",
        ),
    ),
    shapes=(
        TaskShape(
            1,
            'SELECT name AS "group" FROM class',
            ("Room of class {group}?", "Which room has class {group}?"),
            _class_room,
        ),
        TaskShape(
            1,
            "SELECT name AS teacher FROM teacher",
            ("Hours of teacher {teacher}?", "How many hours has teacher {teacher}?"),
            _hours,
        ),
        TaskShape(
            2,
            "SELECT id AS lesson FROM lesson",
            ("Room of the class of lesson {lesson}?", "Lesson {lesson}: which room has its class?"),
            _lesson_room,
        ),
        TaskShape(
            2,
            "SELECT id AS lesson FROM lesson",
            ("Hours of the teacher of lesson {lesson}?", "Who gives lesson {lesson} has how many hours?"),
            _lesson_hours,
        ),
        TaskShape(
            3,
            "SELECT id AS lesson, 7 + id % 2 AS period FROM lesson",
            (
                "Move lesson {lesson} to period {period}. Which class?",
                "Lesson {lesson} goes to period {period}: move it. Whose class is it?",
            ),
            _move,
        ),
        TaskShape(
            4,
            "SELECT l.id AS lesson, a.period AS first, 7 + l.id % 2 AS second FROM lesson l "
            "JOIN lesson a ON a.teacher = l.teacher AND a.id <> l.id UNION SELECT id, 7, 8 FROM lesson",
            (
                "Move lesson {lesson} to period {first} if its teacher is free then, else to {second}. Which period?",
                "Lesson {lesson} moves to {first}, or {second} should the teacher be busy. Do it; the period?",
            ),
            _larger,
        ),
        TaskShape(
            5,
            "SELECT l.id AS lesson FROM lesson l JOIN teacher t ON t.subject = l.subject AND t.name <> l.teacher "
            "WHERE NOT EXISTS (SELECT 1 FROM lesson b WHERE b.teacher = t.name AND b.period = l.period) GROUP BY 1",
            (
                "Give lesson {lesson} to another teacher of its subject who is free then and has fewest hours. Who?",
                "The teacher of lesson {lesson} is ill: assign the free colleague of "
                "the subject with fewest hours. Who?",
            ),
            _substitute,
        ),
    ),
)
