"""Families with fractions, decimals and tables: dice, ruin, lattice polygons, areas, roots, group-by and joins."""

import itertools
import math
import random
from fractions import Fraction

from baleen.synthesis.interpreter.family import Family, Problem, listed, program

_DICE = """
from fractions import Fraction
from itertools import product

hits = sum(1 for faces in product(*(range(1, s + 1) for s in sides)) if sum(faces) % d == r and max(faces) >= top)
total = 1
for s in sides:
    total *= s
print(Fraction(hits, total))
"""


def _dice(difficulty: int, rng: random.Random) -> Problem:
    sides = sorted(rng.choice((4, 6, 8, 10, 12)) for _ in range(2 + difficulty))
    sides = [min(s, 10) for s in sides] if difficulty == 4 else sides
    d = rng.randrange(3, 8)
    r, top = rng.randrange(d), rng.randrange(3, max(sides) + 1)

    def ways(faces: list[int]) -> int:
        """Outcomes with the right remainder, dice with so many faces."""
        counts = [1] + [0] * (d - 1)
        for s in faces:
            counts = [sum(counts[(k - x) % d] for x in range(1, s + 1)) for k in range(d)]
        return counts[r]

    hits = ways(sides) - ways([min(s, top - 1) for s in sides])
    answer = Fraction(hits, math.prod(sides))
    question = (
        f"Fair dice with {listed(sides)} faces, numbered from 1, are thrown. What is the probability that the sum "
        f"leaves the remainder {r} when divided by {d} and at least one die shows {top} or more? Give a fraction in "
        "lowest terms."
    )
    return Problem(question, str(answer), program({"sides": sides, "d": d, "r": r, "top": top}, _DICE))


_RUIN = """
from fractions import Fraction

# One equation per inner amount, solved by elimination.
up = Fraction(*chance)
size = goal - 1
rows = []
for i in range(1, goal):
    row = [Fraction(0)] * (size + 1)
    row[i - 1] += 1
    for j, p in ((i + 1, up), (i - 1, 1 - up)):
        if j == goal:
            row[size] += p
        elif j > 0:
            row[j - 1] -= p
    rows.append(row)
for k in range(size):
    pivot = next(i for i in range(k, size) if rows[i][k])
    rows[k], rows[pivot] = rows[pivot], rows[k]
    rows[k] = [x / rows[k][k] for x in rows[k]]
    for i in range(size):
        if i != k and rows[i][k]:
            rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k])]
print(rows[start - 1][size])
"""


def _ruin(difficulty: int, rng: random.Random) -> Problem:
    b = rng.randrange(3, 8)
    a = rng.choice([x for x in range(1, b) if 2 * x != b and math.gcd(x, b) == 1])
    goal = rng.randrange(3, 5) + 2 * difficulty
    start = rng.randrange(2, goal - 1)
    ratio = Fraction(b - a, a)
    answer = (1 - ratio**start) / (1 - ratio**goal)
    question = (
        f"A gambler has {start} euros. In each round she wins 1 euro with probability {a}/{b}, else she loses 1 euro. "
        f"She stops at {goal} euros or at 0. What is the probability that she reaches {goal}? Give a "
        "fraction in lowest terms."
    )
    values = {"chance": (a, b), "goal": goal, "start": start}
    return Problem(question, str(answer), program(values, _RUIN))


_INSIDE = """
def side(a, b, x, y):
    return (b[0] - a[0]) * (y - a[1]) - (b[1] - a[1]) * (x - a[0])

count = 0
edges = list(zip(corners, corners[1:] + corners[:1]))
for x in range(min(p[0] for p in corners), max(p[0] for p in corners) + 1):
    for y in range(min(p[1] for p in corners), max(p[1] for p in corners) + 1):
        sides = [side(a, b, x, y) for a, b in edges]
        count += all(s > 0 for s in sides) or all(s < 0 for s in sides)
print(count)
"""


def _lattice_points(difficulty: int, rng: random.Random) -> Problem:
    size = 10 * 2**difficulty
    while True:
        points = [(rng.randrange(size), rng.randrange(size)) for _ in range(3 + 3 * difficulty)]
        corners = _hull(points)
        if len(corners) >= 3:
            break
    # Pick's theorem.
    edges = list(zip(corners, corners[1:] + corners[:1], strict=True))
    doubled = abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in edges))
    border = sum(math.gcd(a[0] - b[0], a[1] - b[1]) for a, b in edges)
    answer = (doubled - border + 2) // 2
    question = (
        f"A polygon has, in order, the corners {listed(corners)}. How many points with integer coordinates lie "
        "strictly inside it?"
    )
    return Problem(question, str(answer), program({"corners": corners}, _INSIDE))


def _hull(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Convex hull (Andrew 1979), counter-clockwise."""

    def half(ordered: list[tuple[int, int]]) -> list[tuple[int, int]]:
        out: list[tuple[int, int]] = []
        for p in ordered:
            while len(out) > 1 and _turn(out[-2], out[-1], p) <= 0:
                out.pop()
            out.append(p)
        return out[:-1]

    ordered = sorted(set(points))
    return half(ordered) + half(ordered[::-1])


def _turn(a: tuple[int, int], b: tuple[int, int], c: tuple[int, int]) -> int:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


_TRIANGLES = """
from itertools import combinations

count = 0
for (a, b), (c, d), (e, f) in combinations(points, 3):
    x, y, z = sorted(((a - c) ** 2 + (b - d) ** 2, (c - e) ** 2 + (d - f) ** 2, (a - e) ** 2 + (b - f) ** 2))
    count += x + y == z
print(count)
"""


def _right_triangles(difficulty: int, rng: random.Random) -> Problem:
    size = 3 + difficulty
    grid = list(itertools.product(range(size), repeat=2))
    points = sorted(rng.sample(grid, min(len(grid), 7 + 5 * difficulty)))
    # For every corner: pairs of the others in perpendicular directions.
    count = 0
    for x, y in points:
        arms = [(u - x, v - y) for u, v in points if (u, v) != (x, y)]
        count += sum(a * c + b * d == 0 for (a, b), (c, d) in itertools.combinations(arms, 2))
    question = f"How many right-angled triangles have all their corners among the points {listed(points)}?"
    return Problem(question, str(count), program({"points": points}, _TRIANGLES))


_ROOT = """
from decimal import Decimal, getcontext

getcontext().prec = 50
x = Decimal(high)
for _ in range(200):
    value = sum(c * x ** i for i, c in enumerate(coefficients))
    slope = sum(i * c * x ** (i - 1) for i, c in enumerate(coefficients) if i)
    x -= value / slope
print(round(x, 8))
"""


def _root(difficulty: int, rng: random.Random) -> Problem:
    """x^degree + ... = constant: rising and convex above 0, so with one positive root."""
    degree = 2 + difficulty
    coefficients = [-rng.randrange(200, 2000 * difficulty)]
    coefficients += [rng.randrange(1, 20) for _ in range(degree)]

    def value(x: Fraction) -> Fraction:
        return sum((c * x**i for i, c in enumerate(coefficients)), Fraction(0))

    high = 1
    while value(Fraction(high)) < 0:
        high *= 2
    left, right = Fraction(0), Fraction(high)
    for _ in range(50):
        middle = (left + right) / 2
        left, right = (middle, right) if value(middle) < 0 else (left, middle)
    terms = " + ".join(f"{c}x^{i}" for i, c in reversed(list(enumerate(coefficients))) if i > 0)
    question = (
        f"What is the positive solution of {terms} = {-coefficients[0]}? "
        "Give at least 6 digits after the decimal point."
    )
    values = {"coefficients": coefficients, "high": high}
    return Problem(question, f"{float(left):.8f}", program(values, _ROOT), tolerance="0.000001")


_TABLES = """
import csv, io, sqlite3

db = sqlite3.connect(':memory:')
for name, text in (('sales', sales), ('goods', goods)):
    head, *rows = csv.reader(io.StringIO(text))
    db.execute(f'create table {name} ({", ".join(head)})')
    db.executemany(f'insert into {name} values ({", ".join("?" * len(head))})', rows)
(answer,) = db.execute(
    'select max(total) from (select sum(s.pieces * g.cents) as total from sales s join goods g on s.item = g.item '
    'where g.kind = ? and cast(s.pieces as integer) >= ? group by s.city)', (kind, least)
).fetchone()
print(answer)
"""
_CITIES = ("Arles", "Bern", "Cork", "Delft", "Essen", "Faro", "Genoa", "Hull")
_ITEMS = ("apples", "beans", "candles", "dates", "eggs", "flour", "glue", "hats", "ink", "jars")
_KINDS = ("food", "household", "other")


def _tables(difficulty: int, rng: random.Random) -> Problem:
    items = _ITEMS[: 4 + difficulty]
    goods = [(item, rng.choice(_KINDS[: 2 + difficulty // 2]), rng.randrange(35, 900)) for item in items]
    cities = _CITIES[: 2 + difficulty]
    sales = [
        (day, rng.choice(cities), rng.choice(items), rng.randrange(1, 40))
        for day in range(1, 8 + 12 * difficulty)
    ]
    kind, least = rng.choice(goods)[1], rng.randrange(2, 12)
    price = {item: cents for item, its_kind, cents in goods if its_kind == kind}
    totals: dict[str, int] = {}
    for _, city, item, pieces in sales:
        if item in price and pieces >= least:
            totals[city] = totals.get(city, 0) + pieces * price[item]
    tables = [
        "\n".join([head, *(",".join(map(str, row)) for row in rows)])
        for head, rows in (("day,city,item,pieces", sales), ("item,kind,cents", goods))
    ]
    question = (
        f"Two CSV tables, sales and goods:\n\n{tables[0]}\n\n{tables[1]}\n\nCount only sales of at least {least} "
        f"pieces of items of kind {kind}. What is the turnover (pieces times cents), in cents, of the city with "
        "the greatest?"
    )
    values = {"sales": tables[0], "goods": tables[1], "kind": kind, "least": least}
    return Problem(question, str(max(totals.values(), default=0)), program(values, _TABLES))


FAMILIES = (
    Family("dice", _dice),
    Family("ruin", _ruin),
    Family("lattice-points", _lattice_points),
    Family("right-triangles", _right_triangles),
    Family("root", _root),
    Family("tables", _tables),
)
