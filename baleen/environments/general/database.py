"""The database of an episode: built from a script, guarded while tools use it, compared when the episode is over."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

# Statements end by work done, not by the clock: the same call has the same end on every machine.
_STEPS_AT_A_TIME = 1_000
_MAX_STEPS = 2_000_000
_MAX_VALUE = 1_000_000  # bytes of one value, and of one statement
MAX_DATABASE = 8 << 20  # bytes

# The same arguments must give the same result: no `random`, nothing that knows the time.
_FUNCTIONS_TEXT = (
    "abs avg char coalesce count format glob group_concat hex iif ifnull instr length like lower ltrim "
    "max min nullif printf quote replace round rtrim sign substr substring sum total trim typeof unicode "
    "upper"
)
_FUNCTIONS = frozenset(_FUNCTIONS_TEXT.split())
_USE = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION}
    | {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
)
_BUILD = _USE | {sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_REINDEX}

# table -> {"removed": rows, "added": rows}; a changed row is removed as it was and added as it is
Changes = dict[str, dict[str, list[list[Any]]]]


class DatabaseError(ValueError):
    """A script or a statement that SQLite or its guard refuses; the message is SQLite's."""


@lru_cache(maxsize=256)
def build(script: str) -> bytes:
    """The serialised database that a script of CREATE TABLE and INSERT statements makes. Raises DatabaseError."""
    connection = sqlite3.connect(":memory:")
    try:
        # Most tables of a task fit in a small page; a snapshot is as large as its pages.
        connection.execute("PRAGMA page_size = 512")
        with guarded(connection, _BUILD):
            connection.executescript(script)
            connection.commit()
        _check_tables(connection)
        data = connection.serialize()
    finally:
        connection.close()
    if len(data) > MAX_DATABASE:
        raise DatabaseError(f"the database has {len(data)} bytes, the limit is {MAX_DATABASE}")
    return data


def _check_tables(connection: sqlite3.Connection) -> None:
    if not tables(connection):
        raise DatabaseError("the script creates no table")
    for table in tables(connection):
        for row in connection.execute(f"PRAGMA table_info({quoted(table)})"):
            # SQLite does not ask the guard about defaults.
            if "(" in str(row[4]) or "current_" in str(row[4]).lower():
                raise DatabaseError(f"the default of {table}.{row[1]} must be a constant")


def connect(data: bytes) -> sqlite3.Connection:
    """A private copy in memory; statements commit by themselves. Raises DatabaseError."""
    # A world may be made in one thread and played in another, never in two at once.
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        connection.deserialize(data)
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        connection.close()
        raise DatabaseError(str(error)) from None
    return connection


@contextmanager
def guarded(connection: sqlite3.Connection, allowed: Collection[int] = _USE) -> Iterator[None]:
    """Within: reading and writing of rows alone, bounded work. Raises DatabaseError for what SQLite refuses."""
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += _STEPS_AT_A_TIME
        return steps > _MAX_STEPS

    def authorise(action: int, first: str | None, second: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_FUNCTION:
            allow = second in _FUNCTIONS
        else:
            builds = sqlite3.SQLITE_CREATE_TABLE in allowed
            allow = action in allowed and (builds or not str(first).startswith("sqlite_"))
        return sqlite3.SQLITE_OK if allow else sqlite3.SQLITE_DENY

    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
    connection.set_progress_handler(count, _STEPS_AT_A_TIME)
    connection.set_authorizer(authorise)
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseError("it takes too long" if steps > _MAX_STEPS else str(error)) from None
    finally:
        connection.set_authorizer(None)
        connection.set_progress_handler(None, 0)


def tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """table -> its columns."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    return {
        name: [row[1] for row in connection.execute(f"PRAGMA table_info({quoted(name)})")]
        for (name,) in names
    }


def quoted(name: str) -> str:
    """An identifier as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def changes(before: bytes, after: bytes, ignored: Collection[str] = ()) -> Changes:
    """What differs between two serialised databases, whole rows in a fixed order.

    ignored: "table.column"s that do not count. Raises DatabaseError when one is not a database.
    """
    if before == after:
        return {}
    old, new = _contents(before, ignored), _contents(after, ignored)
    found: Changes = {}
    for table in sorted({*old, *new}):
        was, now = old.get(table, Counter()), new.get(table, Counter())
        if was != now:
            found[table] = {"removed": _ordered(was - now), "added": _ordered(now - was)}
    return found


def _contents(data: bytes, ignored: Collection[str]) -> Mapping[str, Counter[tuple[Any, ...]]]:
    connection = connect(data)
    try:
        result = {}
        for table, columns in tables(connection).items():
            counted = [quoted(c) for c in columns if f"{table}.{c}" not in ignored]
            # A tuple of values and their types: 1 is not '1', and 1 is not 1.0.
            select = ", ".join([*counted, *(f"typeof({c})" for c in counted)]) or "1"
            result[table] = Counter(connection.execute(f"SELECT {select} FROM {quoted(table)}"))
        return result
    except sqlite3.Error as error:
        raise DatabaseError(str(error)) from None
    finally:
        connection.close()


def _ordered(rows: Counter[tuple[Any, ...]]) -> list[list[Any]]:
    plain = ([_json(v) for v in row[: len(row) // 2 or None]] for row in rows.elements())
    return sorted(plain, key=lambda row: [str(value) for value in row])


def _json(value: Any) -> Any:
    return f"x'{value.hex()}'" if isinstance(value, bytes) else value
