"""Families of number theory: power sums modulo a number, digits, Pell's equation, recurrences, number bases."""

import math
import random

from baleen.synthesis.interpreter.family import Family, Problem, program

_PRIMES = (10_007, 99_991, 1_000_003, 998_244_353, 1_000_000_007)


def _power_sum(difficulty: int, rng: random.Random) -> Problem:
    n = rng.randrange(10**difficulty, 10 ** (difficulty + 1)) * (3 if difficulty < 4 else 1)
    k, m = rng.randrange(2, 3 + 2 * difficulty), rng.randrange(1_000, 1_000_000)
    # Powers of sums of falling factorials (Stirling numbers): no loop over n.
    stirling = [1] + [0] * k
    for _ in range(k):
        stirling = [j * stirling[j] + (stirling[j - 1] if j else 0) for j in range(k + 1)]
    answer = sum(s * math.perm(n + 1, j + 1) // (j + 1) for j, s in enumerate(stirling)) % m
    question = f"What is 1^{k} + 2^{k} + 3^{k} + ... + {n}^{k} modulo {m}?"
    body = "print(sum(pow(i, k, m) for i in range(1, n + 1)) % m)"
    return Problem(question, str(answer), program({"n": n, "k": k, "m": m}, body))


def _digit_sum(difficulty: int, rng: random.Random) -> Problem:
    digits = 3 + difficulty if difficulty < 4 else 6
    limit = rng.randrange(10 ** (digits - 1), 4 * 10 ** (digits - 1))
    total, d = rng.randrange(3 * digits, 6 * digits), rng.randrange(3, 8 + 5 * difficulty)
    # Numbers digit by digit: (sum so far, remainder, still equal to the limit's beginning) -> how many.
    states = {(0, 0, True): 1}
    for digit in map(int, str(limit)):
        following: dict[tuple[int, int, bool], int] = {}
        for (s, r, tight), count in states.items():
            for x in range(digit + 1 if tight else 10):
                key = (s + x, (10 * r + x) % d, tight and x == digit)
                following[key] = following.get(key, 0) + count
        states = following
    answer = sum(count for (s, r, _), count in states.items() if s == total and r == 0)
    question = (
        f"How many integers from 1 to {limit} are divisible by {d} and have digits that add up to {total}?"
    )
    body = "print(sum(1 for n in range(d, limit + 1, d) if sum(map(int, str(n))) == total))"
    return Problem(question, str(answer), program({"limit": limit, "d": d, "total": total}, body))


_PELL = """
y = 1
while True:
    square = d * y * y + 1
    x = math.isqrt(square)
    if x * x == square:
        break
    y += 1
print(x + y)
"""


def _pell(difficulty: int, rng: random.Random) -> Problem:
    """Only such d whose smallest solution a plain search finds too, and no tiny ones."""
    while True:
        d = rng.randrange(2, 40 * 3**difficulty)
        if math.isqrt(d) ** 2 == d:
            continue
        x, y = _smallest_pell(d)
        if 10**difficulty < y < 10 ** min(difficulty + 2, 6):
            break
    question = (
        f"Of the positive integer solutions of x^2 - {d} y^2 = 1 take that of the least x. What is x + y?"
    )
    return Problem(question, str(x + y), "import math\n" + program({"d": d}, _PELL))


def _smallest_pell(d: int) -> tuple[int, int]:
    """By the continued fraction of the square root of d."""
    root = math.isqrt(d)
    m, q, a = 0, 1, root
    x_before, x, y_before, y = 1, root, 0, 1
    while x * x - d * y * y != 1:
        m = q * a - m
        q = (d - m * m) // q
        a = (root + m) // q
        x_before, x = x, a * x + x_before
        y_before, y = y, a * y + y_before
    return x, y


_MATRIX = """
def multiply(A, B):
    return [[sum(a * b for a, b in zip(row, column)) % m for column in zip(*B)] for row in A]

order = len(c)
power = [c] + [[int(i == j) for j in range(order)] for i in range(order - 1)]
result = [[int(i == j) for j in range(order)] for i in range(order)]
while n:
    if n & 1:
        result = multiply(result, power)
    power = multiply(power, power)
    n >>= 1
print(sum(r * x for r, x in zip(result[-1], reversed(start))) % m)
"""


def _recurrence(difficulty: int, rng: random.Random) -> Problem:
    order = 2 + (difficulty > 1) + (difficulty > 3)
    n = rng.randrange(10 ** (3 * difficulty), 10 ** (3 * difficulty + 2))
    m = rng.choice(_PRIMES)
    c = [rng.randrange(1, 10) for _ in range(order)]
    start = [rng.randrange(0, 10) for _ in range(order)]
    answer = sum(k * a for k, a in zip(_power_of_x(n, c, m), start, strict=True)) % m
    terms = " + ".join(f"{k}*a({'n' if i == 0 else f'n-{i}'})" for i, k in enumerate(c))
    starts = ", ".join(f"a({i}) = {a}" for i, a in enumerate(start))
    question = (
        f"A sequence has {starts}, and a(n+1) = {terms} for n >= {order - 1}. What is a({n}) modulo {m}?"
    )
    return Problem(question, str(answer), program({"c": c, "start": start, "n": n, "m": m}, _MATRIX))


def _power_of_x(n: int, c: list[int], m: int) -> list[int]:
    """x^n modulo the recurrence's characteristic polynomial and m, lowest coefficient first (Fiduccia 1985)."""
    order = len(c)

    def reduced(p: list[int]) -> list[int]:
        for i in range(len(p) - 1, order - 1, -1):
            for j, k in enumerate(c):
                p[i - 1 - j] = (p[i - 1 - j] + p[i] * k) % m
        return (p + [0] * order)[:order]

    result = [1] + [0] * (order - 1)
    for bit in bin(n)[2:]:
        square = [0] * (2 * order)
        for i, a in enumerate(result):
            for j, b in enumerate(result):
                square[i + j] = (square[i + j] + a * b) % m
        result = reduced(([0] + square) if bit == "1" else square)
    return result


_PALINDROMES = """
def digits(n):
    out = []
    while n:
        out.append(n % b)
        n //= b
    return out

print(sum(n for n in range(1, limit + 1) if digits(n) == digits(n)[::-1]))
"""


def _palindromes(difficulty: int, rng: random.Random) -> Problem:
    b = rng.choice((2, 3, 4, 5, 6, 7, 8, 9, 11, 12))
    limit = rng.randrange(10 ** (1 + difficulty), 4 * 10 ** (1 + difficulty))
    # Made, not searched: every half gives one palindrome of odd and one of even length.
    total, length = 0, 1
    while b ** (length - 1) <= limit:
        half = (length + 1) // 2
        for value in range(b ** (half - 1), b**half):
            palindrome, rest = value, value // b if length % 2 else value
            while rest:
                palindrome, rest = palindrome * b + rest % b, rest // b
            # A half with trailing zeros loses them in `rest`; its mirror is as long as the half all the same.
            total += palindrome if palindrome <= limit else 0
        length += 1
    question = f"Add up all integers from 1 to {limit} that are palindromes when written in base {b}. What is the sum?"
    return Problem(question, str(total), program({"b": b, "limit": limit}, _PALINDROMES))


FAMILIES = (
    Family("power-sum", _power_sum),
    Family("digit-sum", _digit_sum),
    Family("pell", _pell),
    Family("recurrence", _recurrence),
    Family("palindromes", _palindromes),
)
