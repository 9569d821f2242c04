"""A clinic: doctors by field, patients, slots by day and hour."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, TaskShape, Tools, change, look
from baleen.environments.general.words import DAYS, FIELDS, PEOPLE, ids, some, spread


def _fill_clinic(rng: random.Random, size: int) -> Rows:
    names = some(rng, PEOPLE, max(3, size // 2) + size)
    doctors, patients = ["Dr" + n for n in names[: max(3, size // 2)]], names[max(3, size // 2) :]
    slots = ids(rng, 3 * size, 100, 500)
    fields = spread(rng, FIELDS[: max(2, len(doctors) // 2)], len(doctors))
    booked = patients[: size // 2]
    rows = [
        (s, doctors[i % len(doctors)], d, h, booked[i] if i < len(booked) else None)
        for i, (s, d, h) in enumerate(
            zip(slots, spread(rng, DAYS, 3 * size), spread(rng, list(range(8, 18)), 3 * size), strict=True)
        )
    ]
    return {
        "doctor": [(d, f, r) for d, f, r in zip(doctors, fields, ids(rng, len(doctors)), strict=True)],
        "patient": [
            (p, d, y)
            for p, d, y in zip(patients, spread(rng, doctors, size), ids(rng, size, 1930, 2020), strict=True)
        ],
        "slot": rows,
    }


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
    times = [
        [s["hour"], s["slot"]]
        for s in tools.free_slots(doctor=tools.patient_doctor(patient=patient))
        if s["day"] == day
    ]
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
        look(
            "doctors",
            "field",
            "doctors of a field",
            "SELECT name FROM doctor WHERE field = :field ORDER BY 1",
            "column",
        ),
        look(
            "patient_doctor",
            "patient",
            "doctor of a patient",
            "SELECT doctor FROM patient WHERE name = :patient",
        ),
        look(
            "patient_born",
            "patient",
            "year a patient was born",
            "SELECT born FROM patient WHERE name = :patient",
        ),
        look("patient_slot", "patient", "slot of a patient", "SELECT id FROM slot WHERE patient = :patient"),
        look("slot_doctor", "slot:int", "doctor of a slot", "SELECT doctor FROM slot WHERE id = :slot"),
        look(
            "free_slots",
            "doctor",
            "free slots of a doctor",
            "SELECT id AS slot, day, hour FROM slot WHERE doctor = :doctor AND patient IS NULL ORDER BY id",
            "rows",
        ),
        change(
            "reserve",
            "slot:int patient",
            "reserve a slot",
            [
                ("SELECT 1 FROM slot WHERE id = :slot AND patient IS NULL", "slot {slot} is not free"),
                ("SELECT 1 FROM patient WHERE name = :patient", "no patient {patient}"),
                (
                    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM slot WHERE patient = :patient)",
                    "{patient} has a slot already",
                ),
            ],
            ["UPDATE slot SET patient = :patient WHERE id = :slot"],
        ),
        change(
            "release",
            "slot:int",
            "make a slot free",
            [("SELECT 1 FROM slot WHERE id = :slot AND patient IS NOT NULL", "slot {slot} is free")],
            ["UPDATE slot SET patient = NULL WHERE id = :slot"],
        ),
    ),
    shapes=(
        TaskShape(
            1,
            "SELECT name AS doctor FROM doctor",
            ("Field of doctor {doctor}?", "In which field works {doctor}?"),
            _field,
        ),
        TaskShape(
            1,
            "SELECT name AS patient FROM patient",
            ("When was patient {patient} born?", "Year {patient} was born?"),
            _born,
        ),
        TaskShape(
            2,
            "SELECT id AS slot FROM slot",
            ("Room of the doctor of slot {slot}?", "Slot {slot}: in which room is its doctor?"),
            _slot_room,
        ),
        TaskShape(
            2,
            "SELECT name AS patient FROM patient",
            ("Field of the doctor of {patient}?", "Patient {patient} has a doctor of which field?"),
            _own_field,
        ),
        TaskShape(
            3,
            "SELECT patient FROM slot WHERE patient IS NOT NULL",
            (
                "Release the slot of {patient}. Which?",
                "{patient} is well: make the slot free and say which it was.",
            ),
            _release,
        ),
        TaskShape(
            3,
            "SELECT p.name AS patient, s.id AS slot FROM patient p, slot s WHERE s.patient IS NULL "
            "AND p.name NOT IN (SELECT patient FROM slot WHERE patient IS NOT NULL)",
            (
                "Reserve slot {slot} for {patient}. The doctor's room?",
                "{patient} takes slot {slot}: reserve it. Which room?",
            ),
            _reserve,
        ),
        TaskShape(
            4,
            "SELECT p.name AS patient, day FROM patient p JOIN slot s ON s.doctor = "
            "p.doctor WHERE s.patient IS NULL AND "
            "p.name NOT IN (SELECT patient FROM slot WHERE patient IS NOT NULL) GROUP BY 1, 2 "
            "HAVING count(DISTINCT hour) = count(*)",
            (
                "Reserve {patient} the earliest free slot of the own doctor on {day}. At what hour?",
                "{patient} wants to see the own doctor on {day} as early as can be: reserve. The hour?",
            ),
            _first_slot,
        ),
        TaskShape(
            5,
            "SELECT p.name AS patient, field, day FROM patient p, slot s JOIN doctor d ON s.doctor = d.name "
            "WHERE s.patient IS NULL AND p.name NOT IN (SELECT patient FROM slot WHERE patient IS NOT NULL) "
            "GROUP BY 1, 2, 3 HAVING count(*) > 1 AND count(DISTINCT hour) = count(*)",
            (
                "Reserve {patient} the earliest free slot on {day} with any doctor for {field}. Which slot?",
                "{patient} must see a doctor for {field} on {day}, the earlier the better. Reserve and give the slot.",
            ),
            _specialist,
        ),
    ),
)
