"""A clinic: doctors with specialties, patients, slots by day and hour."""

import random

from baleen.environments.general.domain import DomainSpec, Rows, Tools, query_tool, update_tool
from baleen.environments.general.words import DAYS, PEOPLE, SPECIALTIES, ids, sample, spread


def _fill(rng: random.Random, size: int) -> Rows:
    names = sample(rng, PEOPLE, max(3, size // 2) + size)
    doctors, patients = ["Dr" + n for n in names[: max(3, size // 2)]], names[max(3, size // 2) :]
    slots = ids(rng, 3 * size, 100, 500)
    specialties = spread(rng, SPECIALTIES[: max(2, len(doctors) // 2)], len(doctors))
    booked = patients[: size // 2]
    rows = [
        (s, doctors[i % len(doctors)], d, h, booked[i] if i < len(booked) else None)
        for i, (s, d, h) in enumerate(
            zip(slots, spread(rng, DAYS, 3 * size), spread(rng, list(range(8, 18)), 3 * size), strict=True)
        )
    ]
    return {
        "doctor": [(d, s, r) for d, s, r in zip(doctors, specialties, ids(rng, len(doctors)), strict=True)],
        "patient": [
            (p, d, y)
            for p, d, y in zip(patients, spread(rng, doctors, size), ids(rng, size, 1930, 2020), strict=True)
        ],
        "slot": rows,
    }


CLINIC = DomainSpec(
    name="clinic",
    tables={
        "doctor": "name TEXT PRIMARY KEY, specialty TEXT, room INTEGER",
        "patient": "name TEXT PRIMARY KEY, doctor TEXT, born INTEGER",
        "slot": "id INTEGER PRIMARY KEY, doctor TEXT, day TEXT, hour INTEGER, patient TEXT",
    },
    fill=_fill,
    tools=(
        query_tool(
            "doctor_specialty",
            "doctor",
            "specialty of a doctor",
            "SELECT specialty FROM doctor WHERE name = :doctor",
        ),
        query_tool(
            "doctor_room", "doctor", "room of a doctor", "SELECT room FROM doctor WHERE name = :doctor"
        ),
        query_tool(
            "doctors",
            "specialty",
            "doctors with a specialty",
            "SELECT name FROM doctor WHERE specialty = :specialty ORDER BY 1",
            "column",
        ),
        query_tool(
            "patient_doctor",
            "patient",
            "doctor of a patient",
            "SELECT doctor FROM patient WHERE name = :patient",
        ),
        query_tool(
            "patient_birth_year",
            "patient",
            "birth year of a patient",
            "SELECT born FROM patient WHERE name = :patient",
        ),
        query_tool(
            "patient_slot", "patient", "slot of a patient", "SELECT id FROM slot WHERE patient = :patient"
        ),
        query_tool("slot_doctor", "slot:int", "doctor of a slot", "SELECT doctor FROM slot WHERE id = :slot"),
        query_tool(
            "free_slots",
            "doctor",
            "free slots of a doctor",
            "SELECT id AS slot, day, hour FROM slot WHERE doctor = :doctor AND patient IS NULL ORDER BY id",
            "rows",
        ),
        update_tool(
            "reserve",
            "slot:int patient",
            "reserve a slot for a patient",
            [
                ("SELECT 1 FROM slot WHERE id = :slot AND patient IS NULL", "slot {slot} is not free"),
                ("SELECT 1 FROM patient WHERE name = :patient", "there is no patient {patient}"),
                (
                    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM slot WHERE patient = :patient)",
                    "{patient} already has a slot",
                ),
            ],
            ["UPDATE slot SET patient = :patient WHERE id = :slot"],
        ),
        update_tool(
            "release",
            "slot:int",
            "release a reserved slot",
            [("SELECT 1 FROM slot WHERE id = :slot AND patient IS NOT NULL", "slot {slot} is not reserved")],
            ["UPDATE slot SET patient = NULL WHERE id = :slot"],
        ),
    ),
)


@CLINIC.task(
    1,
    "SELECT name AS doctor FROM doctor",
    "What is the specialty of {doctor}?",
    "What kind of doctor is {doctor}?",
)
def specialty(tools: Tools, doctor: str) -> str:
    return tools.doctor_specialty(doctor=doctor)


@CLINIC.task(
    1,
    "SELECT name AS patient FROM patient",
    "What is the birth year of patient {patient}?",
    "In which year was {patient} born?",
)
def birth_year(tools: Tools, patient: str) -> int:
    return tools.patient_birth_year(patient=patient)


@CLINIC.task(
    2,
    "SELECT id AS slot FROM slot",
    "Which room is the doctor of slot {slot} in?",
    "In which room does the appointment in slot {slot} take place?",
)
def slot_room(tools: Tools, slot: int) -> int:
    return tools.doctor_room(doctor=tools.slot_doctor(slot=slot))


@CLINIC.task(
    2,
    "SELECT name AS patient FROM patient",
    "What is the specialty of {patient}'s doctor?",
    "What kind of doctor does {patient} see?",
)
def own_specialty(tools: Tools, patient: str) -> str:
    return tools.doctor_specialty(doctor=tools.patient_doctor(patient=patient))


@CLINIC.task(
    3,
    "SELECT patient FROM slot WHERE patient IS NOT NULL",
    "Release {patient}'s slot. Which slot was it?",
    "{patient} feels fine again. Release the slot and tell me its number.",
)
def release(tools: Tools, patient: str) -> int:
    slot = tools.patient_slot(patient=patient)
    tools.release(slot=slot)
    return slot


@CLINIC.task(
    3,
    "SELECT p.name AS patient, s.id AS slot FROM patient p, slot s WHERE s.patient IS NULL "
    "AND p.name NOT IN (SELECT patient FROM slot WHERE patient IS NOT NULL)",
    "Reserve slot {slot} for {patient}. Which room is the doctor in?",
    "{patient} would like slot {slot}. Reserve it and tell me the doctor's room.",
)
def reserve(tools: Tools, patient: str, slot: int) -> int:
    tools.reserve(slot=slot, patient=patient)
    return tools.doctor_room(doctor=tools.slot_doctor(slot=slot))


@CLINIC.task(
    4,
    "SELECT p.name AS patient, day FROM patient p JOIN slot s ON s.doctor = "
    "p.doctor WHERE s.patient IS NULL AND "
    "p.name NOT IN (SELECT patient FROM slot WHERE patient IS NOT NULL) GROUP BY 1, 2 "
    "HAVING count(DISTINCT hour) = count(*)",
    "Reserve the earliest free slot on {day} with {patient}'s doctor for {patient}. At what hour is it?",
    "{patient} would like to see their doctor as early as possible on {day}. Reserve a slot. At what hour is it?",
)
def first_slot(tools: Tools, patient: str, day: str) -> int:
    times = [
        [s["hour"], s["slot"]]
        for s in tools.free_slots(doctor=tools.patient_doctor(patient=patient))
        if s["day"] == day
    ]
    tools.reserve(slot=min(times)[1], patient=patient)
    return min(times)[0]


@CLINIC.task(
    5,
    "SELECT p.name AS patient, specialty, day FROM patient p, slot s JOIN doctor d ON s.doctor = d.name "
    "WHERE s.patient IS NULL AND p.name NOT IN (SELECT patient FROM slot WHERE patient IS NOT NULL) "
    "GROUP BY 1, 2, 3 HAVING count(*) > 1 AND count(DISTINCT hour) = count(*)",
    "Reserve the earliest free slot on {day} with any {specialty} doctor for {patient}. Which slot is it?",
    "{patient} can see any {specialty} doctor on {day}, the earlier the better. Reserve a slot and tell me its number.",
)
def specialist(tools: Tools, patient: str, specialty: str, day: str) -> int:
    times = []
    for doctor in tools.doctors(specialty=specialty):
        for slot in tools.free_slots(doctor=doctor):
            if slot["day"] == day:
                times.append([slot["hour"], slot["slot"]])
    tools.reserve(slot=min(times)[1], patient=patient)
    return min(times)[1]
