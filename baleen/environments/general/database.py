"""The database of an episode: built from a script, guarded while tools use it, and compared at the end."""

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

# Statements are limited by work, not by time, so that a call ends the same way on every machine.
_STEPS_AT_A_TIME = 1_000
_MAX_STEPS = 2_000_000  # of SQLite's virtual machine
_MAX_VALUE_BYTES = 1_000_000  # also of a statement
MAX_DATABASE_BYTES = 8 << 20

# The same arguments must give the same result, so there is no `random` and no function that reads the clock.
_FUNCTIONS_TEXT = (
    "abs avg char coalesce count format glob group_concat hex iif ifnull instr length like lower ltrim "
    "max min nullif printf quote replace round rtrim sign substr substring sum total trim typeof unicode "
    "upper"
)
_FUNCTIONS = frozenset(_FUNCTIONS_TEXT.split())
_READ_AND_WRITE = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE, sqlite3.SQLITE_TRANSACTION}
    | {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
)
_BUILD = _READ_AND_WRITE | {sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_REINDEX}

# table -> {"removed": rows, "added": rows}; a changed row counts as its old version removed and its new one added
Changes = dict[str, dict[str, list[list[Any]]]]


class DatabaseError(ValueError):
    """A script or statement that SQLite or the guard refuses; the message is SQLite's."""


@lru_cache(maxsize=256)
def build(script: str) -> bytes:
    """Run a script of CREATE TABLE and INSERT statements.

    Returns:
        The serialized database.

    Raises:
        DatabaseError: the script fails, does anything else, or makes too large a database.
    """
    connection = sqlite3.connect(":memory:")
    try:
        # The tables are small, and every snapshot stores whole pages.
        connection.execute("PRAGMA page_size = 512")
        with guarded(connection, _BUILD):
            connection.executescript(script)
            connection.commit()
        _check_tables(connection)
        data = connection.serialize()
    finally:
        connection.close()
    if len(data) > MAX_DATABASE_BYTES:
        raise DatabaseError(f"the database has {len(data)} bytes; the limit is {MAX_DATABASE_BYTES}")
    return data


def _check_tables(connection: sqlite3.Connection) -> None:
    if not tables(connection):
        raise DatabaseError("the script creates no table")
    for table in tables(connection):
        for row in connection.execute(f"PRAGMA table_info({quoted(table)})"):
            # SQLite does not consult the authorizer about default values.
            if "(" in str(row[4]) or "current_" in str(row[4]).lower():
                raise DatabaseError(f"the default of {table}.{row[1]} must be a constant")


def connect(data: bytes) -> sqlite3.Connection:
    """Open a private copy in memory, in autocommit mode. Raises DatabaseError."""
    # A world may be made in one thread and played in another, but never used by two at once.
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        connection.deserialize(data)
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as error:
        connection.close()
        raise DatabaseError(str(error)) from None
    return connection


@contextmanager
def guarded(connection: sqlite3.Connection, allowed: Collection[int] = _READ_AND_WRITE) -> Iterator[None]:
    """Allow only reading and writing of rows, and a bounded amount of work, inside the `with` block.

    Raises:
        DatabaseError: SQLite refused or interrupted a statement.
    """
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += _STEPS_AT_A_TIME
        return steps > _MAX_STEPS

    def authorize(action: int, first: str | None, second: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_FUNCTION:
            allow = second in _FUNCTIONS
        else:
            builds = sqlite3.SQLITE_CREATE_TABLE in allowed
            allow = action in allowed and (builds or not str(first).startswith("sqlite_"))
        return sqlite3.SQLITE_OK if allow else sqlite3.SQLITE_DENY

    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
    connection.set_progress_handler(count, _STEPS_AT_A_TIME)
    connection.set_authorizer(authorize)
    try:
        yield
    except sqlite3.Error as error:
        raise DatabaseError("it takes too long" if steps > _MAX_STEPS else str(error)) from None
    finally:
        connection.set_authorizer(None)
        connection.set_progress_handler(None, 0)


def tables(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """The tables of a database and their columns, by name."""
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name"
    ).fetchall()
    return {
        name: [row[1] for row in connection.execute(f"PRAGMA table_info({quoted(name)})")]
        for (name,) in names
    }


def quoted(name: str) -> str:
    """An identifier in SQL's quotes."""
    return '"' + name.replace('"', '""') + '"'


def changes(before: bytes, after: bytes, ignored: Collection[str] = ()) -> Changes:
    """The rows in which two serialized databases differ, in a fixed order.

    Args:
        before: a serialized database.
        after: another one.
        ignored: columns, as "table.column", that are not compared.

    Raises:
        DatabaseError: one of them is not a database.
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
            # Types are compared too: 1 is neither '1' nor 1.0.
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
