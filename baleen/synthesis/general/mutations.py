"""Wrong outcomes of a task: answers and databases near the right ones. A verification that accepts one is no good."""

import random
import re
import sqlite3
from collections.abc import Collection, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from baleen.environments.general.database import Changes, DatabaseError, changes, connect, quoted, tables
from baleen.environments.general.verification import Outcome

_VALUES = 5  # other values of the database that are tried as answers
_CELLS = 3  # cells that are changed beside the right changes
_NUMBER = re.compile(r"-?\d+")


@dataclass(frozen=True)
class Mutant:
    """kind: what is wrong, in words."""

    kind: str
    outcome: Outcome


def mutants(
    before: bytes, right: Outcome, expected: Changes, ignored: Collection[str], rng: random.Random
) -> list[Mutant]:
    """Wrong outcomes: the right database with wrong answers, the right answer with wrong databases."""
    found = [
        Mutant(kind, Outcome(right.database, answer))
        for kind, answer in _answers(right.answer, _values(right.database), rng)
    ]
    for kind, database in _databases(before, right.database, rng):
        try:
            differs = changes(before, database, ignored) != expected
        except DatabaseError:
            continue
        if differs:
            found.append(Mutant(kind, Outcome(database, right.answer)))
    return found


def _answers(answer: str, values: list[str], rng: random.Random) -> Iterator[tuple[str, str]]:
    """Wrong answers, each once."""
    seen = {answer.casefold()}
    others = [value for value in values if bool(_NUMBER.fullmatch(value)) == bool(_NUMBER.fullmatch(answer))]
    other = rng.choice(others) if others else "other"
    candidates = [
        ("no answer", ""),
        ("a shrug", "unknown"),
        ("two answers", f"{answer} or {other}"),
        ("two answers", f"{other}, {answer}"),
        ("a unit", f"{answer} units"),
        ("a cut answer", answer[:-1]),
        ("a longer answer", f"{answer}{rng.randint(0, 9)}"),
        ("a denied answer", f"not {answer}"),
        *(("another value", value) for value in rng.sample(others, min(_VALUES, len(others)))),
    ]
    if _NUMBER.fullmatch(answer):
        number = int(answer)
        wrong = (number + 1, number - 1, number + 10, 2 * number, -number, int(answer[::-1].rstrip("-") or 0))
        candidates += [("a wrong number", str(value)) for value in wrong]
    if ", " in answer:
        parts = answer.split(", ")
        candidates += [("another order", ", ".join(reversed(parts))), ("a part", ", ".join(parts[1:]))]
    for kind, text in candidates:
        if text.casefold() not in seen:
            seen.add(text.casefold())
            yield kind, text


def _values(data: bytes) -> list[str]:
    with closing(connect(data)) as connection:
        rows = [
            row
            for table in tables(connection)
            for row in connection.execute(f"SELECT * FROM {quoted(table)} LIMIT 50")
        ]
    return sorted({str(value) for row in rows for value in row if value is not None and str(value).strip()})


def _databases(before: bytes, after: bytes, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    yield "nothing done", before
    for _ in range(_CELLS):
        yield from _edited("an extra change", after, rng, _change_cell)
    yield from _edited("a row deleted", after, rng, _delete_row)
    yield from _edited("a row twice", after, rng, _repeat_row)
    yield from _elsewhere(before, after, rng)


def _edited(kind: str, data: bytes, rng: random.Random, edit: Any) -> Iterator[tuple[str, bytes]]:
    with closing(connect(data)) as connection:
        names = [name for name in tables(connection) if _row_ids(connection, name)]
        if not names:
            return
        try:
            edit(connection, rng.choice(names), rng)
        except sqlite3.Error:
            return  # a constraint forbids this mutant
        yield kind, connection.serialize()


def _row_ids(connection: sqlite3.Connection, table: str) -> list[int]:
    try:
        return [row[0] for row in connection.execute(f"SELECT rowid FROM {quoted(table)} ORDER BY rowid")]
    except sqlite3.Error:
        return []  # a table without row ids


def _change_cell(connection: sqlite3.Connection, table: str, rng: random.Random) -> None:
    column = quoted(rng.choice(tables(connection)[table]))
    row = rng.choice(_row_ids(connection, table))
    new = f"CASE typeof({column}) WHEN 'integer' THEN {column} + 1 ELSE ifnull({column}, '') || 'x' END"
    connection.execute(f"UPDATE {quoted(table)} SET {column} = {new} WHERE rowid = ?", (row,))


def _delete_row(connection: sqlite3.Connection, table: str, rng: random.Random) -> None:
    connection.execute(
        f"DELETE FROM {quoted(table)} WHERE rowid = ?", (rng.choice(_row_ids(connection, table)),)
    )


def _repeat_row(connection: sqlite3.Connection, table: str, rng: random.Random) -> None:
    row = rng.choice(_row_ids(connection, table))
    columns = tables(connection)[table]
    # A single integer key is an alias of the row id: left out, it gets the next number.
    keys = connection.execute(f"PRAGMA table_info({quoted(table)})").fetchall()
    alone = (
        [k[1] for k in keys if k[5] and k[2].upper() == "INTEGER"]
        if sum(bool(k[5]) for k in keys) == 1
        else []
    )
    copied = ", ".join(quoted(column) for column in columns if column not in alone)
    connection.execute(
        f"INSERT INTO {quoted(table)} ({copied}) SELECT {copied} FROM {quoted(table)} WHERE rowid = ?", (row,)
    )


def _elsewhere(before: bytes, after: bytes, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """For each changed row: this row left out, and its change made to another row instead."""
    with closing(connect(before)) as old, closing(connect(after)) as new:
        for table in tables(new):
            was, now = _by_id(old, table), _by_id(new, table)
            for row in sorted(set(was) | set(now)):
                if was.get(row) != now.get(row):
                    yield from _undone(after, table, row, was.get(row), now.get(row), now, rng)


def _by_id(connection: sqlite3.Connection, table: str) -> dict[int, tuple[Any, ...]]:
    try:
        return {row[0]: row[1:] for row in connection.execute(f"SELECT rowid, * FROM {quoted(table)}")}
    except sqlite3.Error:
        return {}


def _undone(
    after: bytes,
    table: str,
    row: int,
    was: tuple[Any, ...] | None,
    now: tuple[Any, ...] | None,
    rows: dict[int, tuple[Any, ...]],
    rng: random.Random,
) -> Iterator[tuple[str, bytes]]:
    with closing(connect(after)) as connection:
        columns = tables(connection)[table]
        others = sorted(set(rows) - {row})
        other = rng.choice(others) if others else None
        try:
            connection.execute(f"DELETE FROM {quoted(table)} WHERE rowid = ?", (row,))
            if was is not None:
                marks = ", ".join("?" * (len(columns) + 1))
                named = ", ".join(["rowid", *map(quoted, columns)])
                connection.execute(f"INSERT INTO {quoted(table)} ({named}) VALUES ({marks})", (row, *was))
            yield "a change left out", connection.serialize()
            if other is None:
                return
            if now is None:
                connection.execute(f"DELETE FROM {quoted(table)} WHERE rowid = ?", (other,))
            else:
                differing = [
                    (c, n) for c, o, n in zip(columns, was or rows[other], now, strict=True) if o != n
                ]
                for column, value in differing:
                    sql = f"UPDATE {quoted(table)} SET {quoted(column)} = ? WHERE rowid = ?"
                    connection.execute(sql, (value, other))
            yield "the wrong row changed", connection.serialize()
        except sqlite3.Error:
            return
