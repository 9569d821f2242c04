"""Families on graphs and sets: shortest routes, minimum cuts, spanning trees, knapsacks, edit distance."""

import heapq
import itertools
import random

from baleen.synthesis.interpreter.family import Family, Problem, listed, program

_ROUTES = """
INF = float('inf')
best = {start: 0}
for _ in range(len({x for a, b, _ in roads for x in (a, b)})):
    for a, b, length in roads:
        if best.get(a, INF) + length < best.get(b, INF):
            best[b] = best[a] + length
print(best[end])
"""


def _shortest_route(difficulty: int, rng: random.Random) -> Problem:
    n = 6 + 4 * difficulty
    names = _names(n, rng)
    order = rng.sample(names, n)
    roads = {(a, b): rng.randrange(20, 90) for a, b in itertools.pairwise(order)}
    while len(roads) < (2 + difficulty // 2) * n:
        a, b = rng.sample(names, 2)
        roads.setdefault((a, b), rng.randrange(20, 220))
    ways = [(a, b, length) for (a, b), length in sorted(roads.items())]
    rng.shuffle(ways)
    start, end = order[0], order[-1]
    queue, done, distance = [(0, start)], set[str](), 0
    while queue:
        distance, at = heapq.heappop(queue)
        if at == end:
            break
        if at not in done:
            done.add(at)
            for a, b, length in ways:
                if a == at:
                    heapq.heappush(queue, (distance + length, b))
    text = "; ".join(f"{a} to {b}: {length}" for a, b, length in ways)
    question = (
        f"One-way roads and their lengths in kilometres: {text}. How many kilometres is the shortest route from "
        f"{start} to {end}?"
    )
    return Problem(question, str(distance), program({"roads": ways, "start": start, "end": end}, _ROUTES))


_CUT = """
from itertools import combinations

nodes = {x for a, b, _ in pipes for x in (a, b)}
inner = sorted(nodes - {source, sink})
best = None
for size in range(len(inner) + 1):
    for chosen in combinations(inner, size):
        side = {source, *chosen}
        cut = sum(c for a, b, c in pipes if a in side and b not in side)
        best = cut if best is None else min(best, cut)
print(best)
"""


def _maximum_flow(difficulty: int, rng: random.Random) -> Problem:
    n = 5 + 2 * difficulty
    names = _names(n, rng)
    source, sink = names[0], names[-1]
    pairs = [(a, b) for a, b in itertools.permutations(names, 2) if a != sink and b != source]
    chosen = rng.sample(pairs, min(len(pairs), 3 * n))
    pipes = [(a, b, rng.randrange(3, 60)) for a, b in chosen]
    # Augmenting paths, shortest first (Edmonds and Karp 1972).
    room: dict[tuple[str, str], int] = {}
    for a, b, capacity in pipes:
        room[a, b] = room.get((a, b), 0) + capacity
        room.setdefault((b, a), 0)
    flow = 0
    while path := _path_with_room(room, source, sink):
        extra = min(room[edge] for edge in path)
        flow += extra
        for a, b in path:
            room[a, b] -= extra
            room[b, a] += extra
    text = "; ".join(f"{a} to {b}: {capacity}" for a, b, capacity in pipes)
    question = (
        f"Pipes, each in one direction, with the litres per second they can carry: {text}. What is the largest flow "
        f"from {source} to {sink}, in litres per second?"
    )
    return Problem(question, str(flow), program({"pipes": pipes, "source": source, "sink": sink}, _CUT))


def _path_with_room(room: dict[tuple[str, str], int], source: str, sink: str) -> list[tuple[str, str]] | None:
    came: dict[str, str] = {source: ""}
    queue = [source]
    for at in queue:
        for (a, b), capacity in room.items():
            if a == at and capacity > 0 and b not in came:
                came[b] = a
                queue.append(b)
    if sink not in came:
        return None
    path, at = [], sink
    while at != source:
        path.append((came[at], at))
        at = came[at]
    return path


_TREES = """
from functools import lru_cache

@lru_cache(None)
def trees(edges):
    # Deletion and contraction; loops are dropped, parallel edges counted.
    nodes = {x for (a, b), _ in edges for x in (a, b)}
    if not edges:
        return 1
    ((a, b), count), rest = edges[0], edges[1:]
    merged = {}
    for (u, v), k in rest:
        u, v = (a if x == b else x for x in (u, v))
        if u != v:
            pair = (min(u, v), max(u, v))
            merged[pair] = merged.get(pair, 0) + k
    left = {x for (u, v), _ in rest for x in (u, v)}
    contracted = {x for pair in merged for x in pair}
    together = len(contracted) == len(nodes) - 1 or len(nodes) == 2
    with_edge = count * trees(tuple(sorted(merged.items()))) if together else 0
    return with_edge + (trees(rest) if left == nodes else 0)

print(trees(tuple(sorted(((min(e), max(e)), 1) for e in edges))))
"""


def _spanning_trees(difficulty: int, rng: random.Random) -> Problem:
    n = 4 + difficulty
    edges = {(rng.randrange(i), i) for i in range(1, n)}
    pairs = [p for p in itertools.combinations(range(n), 2) if p not in edges]
    edges |= set(rng.sample(pairs, min(len(pairs), n - 1 + difficulty)))
    shown = sorted(edges)
    # Kirchhoff: any cofactor of the Laplacian, by Bareiss's elimination without fractions.
    m = [[0] * n for _ in range(n)]
    for a, b in shown:
        m[a][a] += 1
        m[b][b] += 1
        m[a][b] -= 1
        m[b][a] -= 1
    m = [row[1:] for row in m[1:]]
    before = 1
    for k in range(n - 2):  # pivots stay positive: the cofactor is positive definite
        for i in range(k + 1, n - 1):
            for j in range(k + 1, n - 1):
                m[i][j] = (m[i][j] * m[k][k] - m[i][k] * m[k][j]) // before
        before = m[k][k]
    text = listed([f"{a}-{b}" for a, b in shown])
    question = (
        f"A graph has the vertices 0 to {n - 1} and the edges {text}. How many spanning trees does it have?"
    )
    return Problem(question, str(m[-1][-1]), program({"edges": shown}, _TREES))


_KNAPSACK = """
from bisect import bisect_right
from itertools import combinations

def sums(part):
    return sorted(
        (sum(w for w, _ in chosen), sum(v for _, v in chosen))
        for size in range(len(part) + 1) for chosen in combinations(part, size)
    )

first, second = sums(items[::2]), sums(items[1::2])
weights, best, top = [], [], 0
for w, v in second:
    top = max(top, v)
    weights.append(w)
    best.append(top)
print(max(v + best[bisect_right(weights, limit - w) - 1] for w, v in first if w <= limit))
"""


def _knapsack(difficulty: int, rng: random.Random) -> Problem:
    items = [(rng.randrange(11, 100), rng.randrange(20, 200)) for _ in range(6 + 3 * difficulty)]
    limit = int(sum(w for w, _ in items) * rng.uniform(0.35, 0.6))
    best = [0] * (limit + 1)
    for weight, value in items:
        for room in range(limit, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + value)
    text = listed(items)
    question = (
        f"Parcels, each as (kilograms, euros): {text}. A van carries at most {limit} kg, and each parcel is taken "
        "whole or left. What is the greatest total value, in euros, that it can carry?"
    )
    return Problem(question, str(best[limit]), program({"items": items, "limit": limit}, _KNAPSACK))


_EDITS = """
import heapq

queue, done = [(0, 0, 0)], set()
while queue:
    cost, i, j = heapq.heappop(queue)
    if (i, j) == (len(a), len(b)):
        break
    if (i, j) in done:
        continue
    done.add((i, j))
    if i < len(a):
        heapq.heappush(queue, (cost + gap, i + 1, j))
    if j < len(b):
        heapq.heappush(queue, (cost + gap, i, j + 1))
    if i < len(a) and j < len(b):
        heapq.heappush(queue, (cost + (0 if a[i] == b[j] else swap), i + 1, j + 1))
print(cost)
"""


def _edit_distance(difficulty: int, rng: random.Random) -> Problem:
    letters = "acgt"
    a, b = ("".join(rng.choice(letters) for _ in range(rng.randrange(8, 13) * difficulty + 4)) for _ in "ab")
    gap = rng.randrange(2, 8)
    swap = rng.randrange(gap, 2 * gap)
    row = [gap * j for j in range(len(b) + 1)]
    for i, x in enumerate(a, 1):
        above, row = row, [gap * i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + gap, row[-1] + gap, above[j - 1] + (0 if x == y else swap)))
    question = (
        f"Inserting or deleting a letter costs {gap}, replacing one by another costs {swap}. What is the least total "
        f"cost of turning {a} into {b}?"
    )
    return Problem(question, str(row[-1]), program({"a": a, "b": b, "gap": gap, "swap": swap}, _EDITS))


_SYLLABLES = ("ba", "du", "ke", "li", "mo", "na", "po", "ri", "sa", "tu", "ve", "zo")


def _names(count: int, rng: random.Random) -> list[str]:
    pairs = list(itertools.product(_SYLLABLES, repeat=2))
    return [(first + second).capitalize() for first, second in rng.sample(pairs, count)]


FAMILIES = (
    Family("shortest-route", _shortest_route),
    Family("maximum-flow", _maximum_flow),
    Family("spanning-trees", _spanning_trees),
    Family("knapsack", _knapsack),
    Family("edit-distance", _edit_distance),
)
