"""Families of counting: lattice paths, words without a pattern, change, placements of queens, cryptarithms."""

import itertools
import math
import random

from baleen.synthesis.interpreter.family import Family, Problem, listed, program

_PATHS = """
ways = [[0] * (w + 1) for _ in range(h + 1)]
for y in range(h + 1):
    for x in range(w + 1):
        if [x, y] in blocked:
            continue
        ways[y][x] = 1 if x == y == 0 else (ways[y][x - 1] if x else 0) + (ways[y - 1][x] if y else 0)
print(ways[h][w])
"""


def _lattice_paths(difficulty: int, rng: random.Random) -> Problem:
    w, h = (
        rng.randrange(3 + 3 * difficulty, 6 + 4 * difficulty),
        rng.randrange(3 + 3 * difficulty, 6 + 4 * difficulty),
    )
    inner = [(x, y) for x in range(w + 1) for y in range(h + 1) if 0 < x + y < w + h]
    blocked = sorted(rng.sample(inner, 2 + 2 * difficulty))
    # Paths to each blocked point that touch no earlier one; the end counts as one more.
    first: list[int] = []
    points = [*sorted(blocked, key=sum), (w, h)]
    for i, (x, y) in enumerate(points):
        count = math.comb(x + y, x)
        for (u, v), ways in zip(points[:i], first, strict=True):
            if u <= x and v <= y:
                count -= ways * math.comb(x - u + y - v, x - u)
        first.append(count)
    question = (
        f"How many paths lead from (0, 0) to ({w}, {h}) by steps of (+1, 0) and (0, +1) without touching any of the "
        f"points {listed(blocked)}?"
    )
    values = {"w": w, "h": h, "blocked": [list(p) for p in blocked]}
    return Problem(question, str(first[-1]), program(values, _PATHS))


_WORDS = """
def fallback(text):
    while text and not pattern.startswith(text):
        text = text[1:]
    return text

counts = {'': 1}
for _ in range(n):
    following = {}
    for state, count in counts.items():
        for letter in letters:
            reached = fallback(state + letter)
            if reached != pattern:
                following[reached] = following.get(reached, 0) + count
    counts = following
print(sum(counts.values()))
"""


def _avoiding_words(difficulty: int, rng: random.Random) -> Problem:
    letters = "abcd"[: rng.randrange(2, 4)]
    length = rng.randrange(3, 4 + difficulty)
    pattern = "".join(rng.choice(letters[:2]) for _ in range(length))
    n = rng.randrange(6 * difficulty, 12 * difficulty) + 2
    # Guibas and Odlyzko 1981: words that end in the pattern's first occurrence, by the pattern's overlaps with itself.
    overlaps = [k for k in range(1, length) if pattern[:k] == pattern[-k:]]
    free, ending = [1], [0]
    for i in range(1, n + length + 1):
        ending.append(0)
        if i >= length:
            ending[i] = free[i - length] - sum(ending[i - length + k] for k in overlaps)
        free.append(len(letters) * free[-1] - ending[i])
    question = (
        f"How many words of length {n} over the letters {listed(tuple(letters))} do not contain {pattern} as a block "
        "of consecutive letters?"
    )
    values = {"letters": letters, "pattern": pattern, "n": n}
    return Problem(question, str(free[n]), program(values, _WORDS))


_CHANGE = """
from functools import lru_cache

@lru_cache(None)
def ways(rest, kinds):
    if rest == 0:
        return 1
    if kinds == 0:
        return 0
    c = coins[kinds - 1]
    return sum(ways(rest - used * c, kinds - 1) for used in range(min(most, rest // c) + 1))

print(ways(amount, len(coins)))
"""


def _change(difficulty: int, rng: random.Random) -> Problem:
    coins = sorted(rng.sample(range(2, 14 + 6 * difficulty), 3 + difficulty))
    most = rng.randrange(4, 7 + 2 * difficulty)
    amount = int(most * sum(coins) * rng.uniform(0.3, 0.5))
    # The coefficient of x^amount in the product of (1 + x^c + ... + x^(most c)).
    polynomial = [1]
    for c in coins:
        product = [0] * (len(polynomial) + most * c)
        for i, value in enumerate(polynomial):
            for used in range(most + 1):
                product[i + used * c] += value
        polynomial = product
    question = (
        f"There are coins of {listed(coins)} cents, and {most} of each. In how many ways can exactly {amount} cents be "
        "paid? The order of the coins does not matter."
    )
    values = {"coins": coins, "most": most, "amount": amount}
    return Problem(question, str(polynomial[amount]), program(values, _CHANGE))


_QUEENS = """
from itertools import permutations

print(sum(
    all((row, column) not in holes for row, column in enumerate(p))
    and len({row + column for row, column in enumerate(p)}) == n
    and len({row - column for row, column in enumerate(p)}) == n
    for p in permutations(range(n))
))
"""


def _queens(difficulty: int, rng: random.Random) -> Problem:
    n = (6, 7, 8, 8)[difficulty - 1]
    squares = list(itertools.product(range(n), repeat=2))
    holes = sorted(rng.sample(squares, rng.randrange(1, 2 + difficulty)))

    def place(row: int, columns: int, down: int, up: int) -> int:
        """Row after row, the attacked columns and diagonals as bits."""
        if row == n:
            return 1
        attacked = columns | down | up | sum(1 << c for r, c in holes if r == row)
        free = [c for c in range(n) if not attacked >> c & 1]
        return sum(place(row + 1, columns | 1 << c, (down | 1 << c) << 1, (up | 1 << c) >> 1) for c in free)

    shown = listed([(r + 1, c + 1) for r, c in holes])
    question = (
        f"In how many ways can {n} queens be placed on a {n} x {n} board so that no two attack each other and none "
        f"stands on the squares (row, column) {shown}? Rotated and mirrored placements count separately."
    )
    return Problem(question, str(place(0, 0, 0, 0)), program({"n": n, "holes": holes}, _QUEENS))


_CRYPTARITHM = """
from itertools import permutations

letters = sorted(set(a + b + c))
leading = {a[0], b[0], c[0]}
count = total = 0
for digits in permutations(range(base), len(letters)):
    of = dict(zip(letters, digits))
    if any(of[letter] == 0 for letter in leading):
        continue
    x, y, z = (sum(of[letter] * base ** i for i, letter in enumerate(reversed(word))) for word in (a, b, c))
    if x + y == z:
        count += 1
        total += z
print(total)
"""


def _cryptarithm(difficulty: int, rng: random.Random) -> Problem:
    base = (6, 7, 7, 8)[difficulty - 1]
    letters = "ABCDEFGH"[: min(base, 4 + difficulty)]
    while True:
        size = rng.randrange(2, 3 + difficulty // 2)
        a, b = ("".join(rng.choice(letters) for _ in range(size)) for _ in range(2))
        c = "".join(rng.choice(letters) for _ in range(size + rng.randrange(2)))
        total = _solutions(a, b, c, base)
        if a != b and total:
            break
    question = (
        f"In the sum {a} + {b} = {c} every letter stands for one digit in base {base}, different letters for different "
        "digits, and no number begins with 0. For each solution take the value of the right-hand side; what do these "
        "values add up to, in decimal?"
    )
    return Problem(question, str(total), program({"a": a, "b": b, "c": c, "base": base}, _CRYPTARITHM))


def _solutions(a: str, b: str, c: str, base: int) -> int:
    """Sum of the right-hand sides, column by column from the right with the carry."""
    leading = {a[0], b[0], c[0]}

    def letter(word: str, column: int) -> str:
        return word[-1 - column] if column < len(word) else ""

    def options(symbol: str, of: dict[str, int]) -> list[int]:
        if not symbol:
            return [0]
        if symbol in of:
            return [of[symbol]]
        return [d for d in range(base) if d not in of.values() and (d or symbol not in leading)]

    def solve(column: int, carry: int, of: dict[str, int]) -> int:
        if column == len(c):
            return 0 if carry else sum(of[s] * base**i for i, s in enumerate(reversed(c)))
        total = 0
        x_symbol, y_symbol, z_symbol = (letter(word, column) for word in (a, b, c))
        for x in options(x_symbol, of):
            with_x = of | ({x_symbol: x} if x_symbol else {})
            for y in options(y_symbol, with_x):
                with_y = with_x | ({y_symbol: y} if y_symbol else {})
                carried, z = divmod(x + y + carry, base)
                if z in options(z_symbol, with_y):
                    total += solve(column + 1, carried, with_y | {z_symbol: z})
        return total

    return solve(0, 0, {}) if len(c) >= max(len(a), len(b)) else 0


FAMILIES = (
    Family("lattice-paths", _lattice_paths),
    Family("avoiding-words", _avoiding_words),
    Family("change", _change),
    Family("queens", _queens),
    Family("cryptarithm", _cryptarithm),
)
