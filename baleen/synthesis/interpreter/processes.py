"""Families of processes to follow: generators, cellular automata, Josephus, calendars, text, robots."""

import datetime
import random
import re

from baleen.synthesis.interpreter.family import Family, Problem, program

_LCG = """
power, total = (a, c), (1, 0)
while n:
    if n & 1:
        total = (power[0] * total[0] % m, (power[0] * total[1] + power[1]) % m)
    power = (power[0] * power[0] % m, (power[0] * power[1] + power[1]) % m)
    n >>= 1
print((total[0] * x + total[1]) % m)
"""


def _generator(difficulty: int, rng: random.Random) -> Problem:
    m = rng.randrange(10**4, 10 ** (4 + difficulty))
    a, c, x = rng.randrange(2, m), rng.randrange(1, m), rng.randrange(m)
    n = rng.randrange(10 ** (1 + difficulty), 3 * 10 ** (1 + difficulty))
    state = x
    for _ in range(n):
        state = (a * state + c) % m
    question = (
        f"Start from x = {x}; each step replaces x by ({a}*x + {c}) modulo {m}. What is x after {n} steps?"
    )
    return Problem(question, str(state), program({"a": a, "c": c, "m": m, "x": x, "n": n}, _LCG))


_AUTOMATON = """
for _ in range(steps):
    cells = [
        rule >> (4 * cells[i - 1] + 2 * cells[i] + cells[(i + 1) % len(cells)]) & 1 for i in range(len(cells))
    ]
print(sum(cells))
"""


def _automaton(difficulty: int, rng: random.Random) -> Problem:
    rule = rng.choice((22, 30, 45, 54, 60, 73, 90, 105, 110, 124, 126, 150))
    width, steps = rng.randrange(15, 25) + 15 * difficulty, rng.randrange(5, 12) * 4**difficulty
    start = "".join(rng.choice("01") for _ in range(width))
    # All cells at once, as the bits of one integer.
    full, row = (1 << width) - 1, int(start, 2)
    for _ in range(steps):
        left = row >> 1 | (row & 1) << (width - 1)
        right = (row << 1 & full) | row >> (width - 1)
        following = 0
        for pattern in range(8):
            if rule >> pattern & 1:
                match = left if pattern & 4 else full ^ left
                match &= row if pattern & 2 else full ^ row
                following |= match & (right if pattern & 1 else full ^ right)
        row = following
    question = (
        f"The elementary cellular automaton with Wolfram's rule {rule} runs on a ring of {width} cells, at first "
        f"{start}. How many cells are 1 after {steps} steps?"
    )
    values = {"rule": rule, "steps": steps, "cells": [int(cell) for cell in start]}
    return Problem(question, str(row.bit_count()), program(values, _AUTOMATON))


_JOSEPHUS = """
from collections import deque

ring, step = deque(range(1, n + 1)), k
while len(ring) > left:
    ring.rotate(-(step - 1))
    ring.popleft()
    step += grows
print(sum(ring))
"""


def _josephus(difficulty: int, rng: random.Random) -> Problem:
    n = rng.randrange(20, 60) * 5 ** (difficulty - 1)
    k, grows, left = rng.randrange(3, 30), rng.randrange(0, 3), rng.randrange(2, 5)
    # Backwards: the places of the last ones, in ever larger rings.
    places = list(range(left))
    for size in range(left + 1, n + 1):
        step = k + grows * (n - size)
        places = [(place + step) % size for place in places]
    answer = sum(places) + left
    growth = f" After each removal the count that removes grows by {grows}." if grows else ""
    question = (
        f"{n} people numbered 1 to {n} stand in a circle. Counting begins with number 1, and the {k}th counted leaves; "
        f"then counting goes on with the next one.{growth} When {left} people are left, what do their numbers add up "
        "to?"
    )
    values = {"n": n, "k": k, "grows": grows, "left": left}
    return Problem(question, str(answer), program(values, _JOSEPHUS))


_DATES = """
def weekday(y, m, d):
    # Zeller's congruence; Monday is 0
    if m < 3:
        y, m = y - 1, m + 12
    return (d + 13 * (m + 1) // 5 + y + y // 4 - y // 100 + y // 400 + 5) % 7

print(sum(
    1
    for y in range(first, last + 1) for m in range(1, 13)
    if weekday(y, m, day) == wanted and (not leap or y % 4 == 0 and (y % 100 != 0 or y % 400 == 0))
))
"""
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _calendar(difficulty: int, rng: random.Random) -> Problem:
    first = rng.randrange(1700, 2000)
    last = first + rng.randrange(5, 20) * 3**difficulty
    day, wanted, leap = rng.randrange(1, 29), rng.randrange(7), difficulty > 2
    count = 0
    for year in range(first, last + 1):
        common = (datetime.date(year, 12, 31) - datetime.date(year, 1, 1)).days == 364
        for month in range(1, 13):
            right = datetime.date(year, month, day).weekday() == wanted
            count += right and not (leap and common)
    years = "in the leap years " if leap else ""
    question = (
        f"In the Gregorian calendar, how many times is day {day} of a month a {_WEEKDAYS[wanted]} {years}from the "
        f"beginning of {first} to the end of {last}?"
    )
    values = {"first": first, "last": last, "day": day, "wanted": wanted, "leap": leap}
    return Problem(question, str(count), program(values, _DATES))


_MATCHES = """
# The blocks by hand: position, then as far as the class of letters reaches.
total = count = i = 0
while i < len(text):
    if text[i] in opening:
        j = i + 1
        while j < len(text) and text[j] in middle:
            j += 1
        # give letters back until the last one closes
        while j > i + least and (j >= len(text) or text[j] not in closing):
            j -= 1
        if j - i - 1 >= least and j < len(text) and text[j] in closing and all(x in middle for x in text[i + 1:j]):
            count, total, i = count + 1, total + j + 1 - i, j + 1
            continue
    i += 1
print(1000 * count + total)
"""


def _matches(difficulty: int, rng: random.Random) -> Problem:
    letters = "abcdef"
    text = "".join(rng.choice(letters) for _ in range(60 * difficulty + rng.randrange(20)))
    opening, middle, closing = ("".join(sorted(rng.sample(letters, k))) for k in (2, 3, 2))
    least = rng.randrange(1, 3)
    found = re.findall(f"[{opening}][{middle}]{{{least},}}[{closing}]", text)
    answer = 1000 * len(found) + sum(map(len, found))
    question = (
        f"Take the non-overlapping matches, from left to right and each as long as it can be, of the regular "
        f"expression [{opening}][{middle}]{{{least},}}[{closing}] in the text {text}. What is 1000 times their "
        "number plus their total length?"
    )
    values = {"text": text, "opening": opening, "middle": middle, "closing": closing, "least": least}
    return Problem(question, str(answer), program(values, _MATCHES))


_ROBOT = """
position, direction = 0, 1j
seen = {position}
for _ in range(rounds):
    for word in moves:
        if word == 'L':
            direction *= 1j
        elif word == 'R':
            direction *= -1j
        else:
            for _ in range(int(word)):
                position += direction
                seen.add(position)
print(len(seen))
"""


def _robot(difficulty: int, rng: random.Random) -> Problem:
    moves: list[str] = []
    for _ in range(4 + 3 * difficulty):
        moves += [rng.choice("LR"), str(rng.randrange(1, 6 + 3 * difficulty))]
    rounds = rng.randrange(2, 4) + 2 * difficulty
    x = y = 0
    dx, dy = 0, 1
    cells = {(0, 0)}
    for word in moves * rounds:
        if word in "LR":
            dx, dy = (-dy, dx) if word == "L" else (dy, -dx)
            continue
        reach = int(word)
        cells |= {(x + dx * k, y + dy * k) for k in range(1, reach + 1)}
        x, y = x + dx * reach, y + dy * reach
    question = (
        f"A robot stands on a square of an endless grid, facing north. Its program is: {' '.join(moves)} (L and R turn "
        f"it by 90 degrees, a number moves it that many squares ahead). It runs the program {rounds} times. How many "
        "different squares has it stood on, the first included?"
    )
    return Problem(question, str(len(cells)), program({"moves": moves, "rounds": rounds}, _ROBOT))


FAMILIES = (
    Family("generator", _generator),
    Family("automaton", _automaton),
    Family("josephus", _josephus),
    Family("calendar", _calendar),
    Family("matches", _matches),
    Family("robot", _robot),
)
