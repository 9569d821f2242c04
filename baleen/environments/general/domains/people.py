"""A clinic's slots, a school's timetable, a company's line of command."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import DAYS, PEOPLE, different, ids, some, spread

FIELDS = "heart skin bones eyes lungs nerves".split()
SUBJECTS = "maths music history physics art latin biology sports".split()


def _fill_clinic(rng: random.Random, size: int) -> Rows:
    names = some(rng, PEOPLE, max(3, size // 2) + size)
    doctors, patients = ["Dr" + n for n in names[: max(3, size // 2)]], names[max(3, size // 2) :]
    slots = ids(rng, 3 * size, 100, 500)
    fields = spread(rng, FIELDS[: max(2, len(doctors) // 2)], len(doctors))
    booked = patients[: size // 2]
    rows = [
        (s, doctors[i % len(doctors)], d, h, booked[i] if i < len(booked) else None)
        for i, (s, d, h) in enumerate(zip(slots, spread(rng, DAYS, 3 * size), spread(rng, list(range(8, 18)), 3 * size), strict=True))
    ]
    return {
        "doctor": [(d, f, r) for d, f, r in zip(doctors, fields, ids(rng, len(doctors)), strict=True)],
        "patient": [(p, d, y) for p, d, y in zip(patients, spread(rng, doctors, size), ids(rng, size, 1930, 2020), strict=True)],
        "slot": rows,
    }  # fmt: skip


def _field(tools: Tools, doctor: str) -> str:
    return tools.doctor_field(doctor=doctor)


def _born(tools: Tools, patient: str) -> int:
    return tools.patient_born(patient=patient)


def _slot_room(tools: Tools, slot: int) -> int:
    return tools.doctor_room(doctor=tools.slot_doctor(slot=slot))


def _own_field(tools: Tools, patient: str) -> str:
    return tools.doctor_field(doctor=tools.patient_doctor(patient=patient))


def _release(tools: Tools, patient: str) -> int:
    slot = tools.patient_slot(patient=patient)
    tools.release(slot=slot)
    return slot


def _reserve(tools: Tools, patient: str, slot: int) -> int:
    tools.reserve(slot=slot, patient=patient)
    return tools.doctor_room(doctor=tools.slot_doctor(slot=slot))


def _first_slot(tools: Tools, patient: str, day: str) -> int:
    times = [[s["hour"], s["slot"]] for s in tools.free_slots(doctor=tools.patient_doctor(patient=patient)) if s["day"] == day]
    tools.reserve(slot=min(times)[1], patient=patient)
    return min(times)[0]


def _specialist(tools: Tools, patient: str, field: str, day: str) -> int:
    times = []
    for doctor in tools.doctors(field=field):
        for slot in tools.free_slots(doctor=doctor):
            if slot["day"] == day:
                times.append([slot["hour"], slot["slot"]])
    tools.reserve(slot=min(times)[1], patient=patient)
    return min(times)[1]


CLINIC = DomainSpec(
    name="clinic",
    tables={
        "doctor": "name TEXT PRIMARY KEY, field TEXT, room INTEGER",
        "patient": "name TEXT PRIMARY KEY, doctor TEXT, born INTEGER",
        "slot": "id INTEGER PRIMARY KEY, doctor TEXT, day TEXT, hour INTEGER, patient TEXT",
    },
    fill=_fill_clinic,
    tools=(
        look("doctor_field", "doctor", "field of a doctor", "SELECT field FROM doctor WHERE name = :doctor"),
        look("doctor_room", "doctor", "room of a doctor", "SELECT room FROM doctor WHERE name = :doctor"),
        look("doctors", "field", "doctors of a field", "SELECT name FROM doctor WHERE field = :field ORDER BY 1", "column"),
        look("patient_doctor", "patient", "doctor of a patient", "SELECT doctor FROM patient WHERE name = :patient"),
        look("patient_born", "patient", "year a patient was born", "SELECT born FROM patient WHERE name = :patient"),
        look("patient_slot", "patient", "slot of a patient", "SELECT id FROM slot WHERE patient = :patient"),
        look("slot_doctor", "slot:int", "doctor of a slot", "SELECT doctor FROM slot WHERE id = :slot"),
        look("free_slots", "doctor", "free slots of a doctor",
             "SELECT id AS slot, day, hour FROM slot WHERE doctor = :doctor AND patient IS NULL ORDER BY id", "rows"),
        change(
            "reserve", "slot:int patient", "reserve a slot",
            [
                ("SELECT 1 FROM slot WHERE id = :slot AND patient IS NULL", "slot {slot} is not free"),
                ("SELECT 1 FROM patient WHERE name = :patient", "no patient {patient}"),
                ("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM slot WHERE patient = :patient)", "{patient} has a slot already"),
            ],
            ["UPDATE slot SET patient = :patient WHERE id = :slot"],
        ),
        change(
            "release", "slot:int", "make a slot free",
            [("SELECT 1 FROM slot WHERE id = :slot AND patient IS NOT NULL", "slot {slot} is free")],
            ["UPDATE slot SET patient = NULL WHERE id = :slot"],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT name AS doctor FROM doctor", ("Field of doctor {doctor}?", "In which field works {doctor}?"), _field),
        TaskShape(1, "SELECT name AS patient FROM patient", ("When was patient {patient} born?", "Year {patient} was born?"), _born),
        TaskShape(2, "SELECT id AS slot FROM slot", ("Room of the doctor of slot {slot}?", "Slot {slot}: in which room is its doctor?"), _slot_room),
        TaskShape(
            2, "SELECT name AS patient FROM patient",
            ("Field of the doctor of {patient}?", "Patient {patient} has a doctor of which field?"), _own_field,
        ),
        TaskShape(
            3, "SELECT patient FROM slot WHERE patient IS NOT NULL",
            ("Release the slot of {patient}. Which?", "{patient} is well: make the slot free and say which it was."), _release,
        ),
        TaskShape(
            3, "SELECT p.name AS patient, s.id AS slot FROM patient p, slot s WHERE s.patient IS NULL "
            "AND p.name NOT IN (SELECT patient FROM slot WHERE patient IS NOT NULL)",
            ("Reserve slot {slot} for {patient}. The doctor's room?", "{patient} takes slot {slot}: reserve it. Which room?"),
            _reserve,
        ),
        TaskShape(
            4, "SELECT p.name AS patient, day FROM patient p JOIN slot s ON s.doctor = p.doctor WHERE s.patient IS NULL AND "
            "p.name NOT IN (SELECT patient FROM slot WHERE patient IS NOT NULL) GROUP BY 1, 2 "
            "HAVING count(DISTINCT hour) = count(*)",
            (
                "Reserve {patient} the earliest free slot of the own doctor on {day}. At what hour?",
                "{patient} wants to see the own doctor on {day} as early as can be: reserve. The hour?",
            ),
            _first_slot,
        ),
        TaskShape(
            5, "SELECT p.name AS patient, field, day FROM patient p, slot s JOIN doctor d ON s.doctor = d.name "
            "WHERE s.patient IS NULL AND p.name NOT IN (SELECT patient FROM slot WHERE patient IS NOT NULL) "
            "GROUP BY 1, 2, 3 HAVING count(*) > 1 AND count(DISTINCT hour) = count(*)",
            (
                "Reserve {patient} the earliest free slot on {day} with any doctor for {field}. Which slot?",
                "{patient} must see a doctor for {field} on {day}, the earlier the better. Reserve and give the slot.",
            ),
            _specialist,
        ),
    ),
)  # fmt: skip


def _fill_school(rng: random.Random, size: int) -> Rows:
    teachers, groups = some(rng, PEOPLE, size), [f"{n}{c}" for n in range(5, 5 + max(2, size // 3)) for c in "ab"]
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
        "class": [(g, r, n) for g, r, n in zip(groups, ids(rng, len(groups), 100, 400), different(rng, len(groups), 15, 33), strict=True)],
        "lesson": rows,
    }  # fmt: skip


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
        look("teacher_hours", "teacher", "hours of a teacher", "SELECT hours FROM teacher WHERE name = :teacher"),
        look("teachers", "subject", "teachers of a subject", "SELECT name FROM teacher WHERE subject = :subject ORDER BY 1", "column"),
        look("busy", "teacher", "periods a teacher is busy", "SELECT period FROM lesson WHERE teacher = :teacher ORDER BY 1", "column"),
        look("lesson_class", "lesson:int", "class of a lesson", "SELECT class FROM lesson WHERE id = :lesson"),
        look("lesson_teacher", "lesson:int", "teacher of a lesson", "SELECT teacher FROM lesson WHERE id = :lesson"),
        look("lesson_subject", "lesson:int", "subject of a lesson", "SELECT subject FROM lesson WHERE id = :lesson"),
        look("lesson_period", "lesson:int", "period of a lesson", "SELECT period FROM lesson WHERE id = :lesson"),
        change(
            "move", "lesson:int period:int", "move a lesson to a period",
            [
                ("SELECT 1 FROM lesson WHERE id = :lesson", "no lesson {lesson}"),
                ("SELECT 1 WHERE :period BETWEEN 1 AND 8", "the period must be 1 to 8"),
                ("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM lesson a JOIN lesson b ON a.teacher = b.teacher "
                 "WHERE a.id = :lesson AND b.period = :period)", "the teacher is busy in period {period}"),
            ],
            ["UPDATE lesson SET period = :period WHERE id = :lesson"],
        ),
        change(
            "assign", "lesson:int teacher", "give a lesson to a teacher",
            [
                ("SELECT 1 FROM lesson JOIN teacher ON name = :teacher AND teacher.subject = lesson.subject "
                 "WHERE id = :lesson", "{teacher} does not teach this"),
                ("SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM lesson a JOIN lesson b ON a.period = b.period "
                 "WHERE a.id = :lesson AND b.teacher = :teacher)", "{teacher} is busy then"),
            ],
            [
                "UPDATE lesson SET teacher = :teacher WHERE id = :lesson",
                "UPDATE teacher SET hours = hours + 1 WHERE name = :teacher",
            ],
            "SELECT hours FROM teacher WHERE name = :teacher",
        ),
    ),
    shapes=(
        TaskShape(1, 'SELECT name AS "group" FROM class', ("Room of class {group}?", "Which room has class {group}?"), _class_room),
        TaskShape(1, "SELECT name AS teacher FROM teacher", ("Hours of teacher {teacher}?", "How many hours has teacher {teacher}?"), _hours),
        TaskShape(2, "SELECT id AS lesson FROM lesson", ("Room of the class of lesson {lesson}?", "Lesson {lesson}: which room has its class?"), _lesson_room),
        TaskShape(2, "SELECT id AS lesson FROM lesson", ("Hours of the teacher of lesson {lesson}?", "Who gives lesson {lesson} has how many hours?"), _lesson_hours),
        TaskShape(
            3, "SELECT id AS lesson, 7 + id % 2 AS period FROM lesson",
            ("Move lesson {lesson} to period {period}. Which class?", "Lesson {lesson} goes to period {period}: move it. Whose class is it?"), _move,
        ),
        TaskShape(
            4, "SELECT l.id AS lesson, a.period AS first, 7 + l.id % 2 AS second FROM lesson l "
            "JOIN lesson a ON a.teacher = l.teacher AND a.id <> l.id",
            (
                "Move lesson {lesson} to period {first} if its teacher is free then, else to {second}. Which period?",
                "Lesson {lesson} moves to {first}, or {second} should the teacher be busy. Do it; the period?",
            ),
            _larger,
        ),
        TaskShape(
            5, "SELECT l.id AS lesson FROM lesson l JOIN teacher t ON t.subject = l.subject AND t.name <> l.teacher "
            "WHERE NOT EXISTS (SELECT 1 FROM lesson b WHERE b.teacher = t.name AND b.period = l.period) GROUP BY 1",
            (
                "Give lesson {lesson} to another teacher of its subject who is free then and has fewest hours. Who?",
                "The teacher of lesson {lesson} is ill: assign the free colleague of the subject with fewest hours. Who?",
            ),
            _substitute,
        ),
    ),
)  # fmt: skip


def _fill_staff(rng: random.Random, size: int) -> Rows:
    people = some(rng, PEOPLE, size)
    teams = some(rng, ["sales", "legal", "design", "data", "press", "labs", "web", "ops"], max(2, size // 3))
    return {
        "person": [
            (p, None if i == 0 else people[(i - 1) // 2], t, d)
            for i, (p, t, d) in enumerate(zip(people, spread(rng, teams, size), different(rng, size, 2, 30), strict=True))
        ],
        "team": [(t, f, b) for t, f, b in zip(teams, ids(rng, len(teams)), different(rng, len(teams), 20, 99), strict=True)],
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
        look("reports", "boss", "people under a boss", "SELECT name FROM person WHERE boss = :boss ORDER BY 1", "column"),
        look("team_floor", "team", "floor of a team", "SELECT floor FROM team WHERE name = :team"),
        change(
            "take_leave", "person days:int", "enter days of leave",
            [
                ("SELECT 1 WHERE :days > 0", "days must be above 0"),
                ("SELECT 1 FROM person WHERE name = :person AND days >= :days", "{person} has too few days"),
            ],
            ["UPDATE person SET days = days - :days WHERE name = :person", "INSERT INTO leave VALUES (:person, :days)"],
        ),
        change(
            "set_team", "person team", "move a person to a team",
            [
                ("SELECT 1 FROM person WHERE name = :person", "no person {person}"),
                ("SELECT 1 FROM team WHERE name = :team", "no team {team}"),
            ],
            ["UPDATE person SET team = :team WHERE name = :person"],
        ),
    ),
    shapes=(
        TaskShape(1, "SELECT name AS person FROM person WHERE boss NOTNULL", ("Boss of {person}?", "Who is boss of person {person}?"), _boss),
        TaskShape(1, "SELECT name AS person FROM person", ("Days of leave left for {person}?", "How many days left has person {person}?"), _days),
        TaskShape(
            2, "SELECT p.name AS person FROM person p JOIN person b ON p.boss = b.name WHERE b.boss NOTNULL",
            ("Boss of the boss of {person}?", "Who is the boss of the boss of person {person}?"), _bosses_boss,
        ),
        TaskShape(2, "SELECT name AS person FROM person", ("Floor of the team of {person}?", "On which floor sits the team of {person}?"), _floor),
        TaskShape(
            3, "SELECT name AS person, 1 + days % 2 AS days FROM person WHERE boss NOTNULL",
            ("Enter {days} days of leave for {person}. Who is the boss?", "{person} is away for {days} days: enter the leave and name the boss to tell."), _leave,
        ),
        TaskShape(
            4, "SELECT p.name AS person FROM person p JOIN person b ON p.boss = b.name WHERE p.team <> b.team",
            ("Move {person} to the team of the boss. Which team?", "{person} joins the team of the own boss. Set it and name the team."), _join_boss,
        ),
        TaskShape(
            5, "SELECT boss, 3 + count(*) % 5 AS days FROM person WHERE boss NOTNULL GROUP BY 1",
            (
                "Enter {days} days of leave for everybody under {boss} who has as many left. For how many people?",
                "{boss} closes the office for {days} days: all direct reports with enough days take leave. How many are they?",
            ),
            _all_leave,
        ),
    ),
)  # fmt: skip
