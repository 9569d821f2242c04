"""Databases are built by scripts of rows alone, guarded against all else, and compared to the last value."""

import pytest

from baleen.environments.general.database import DatabaseError, build, changes, connect, guarded

SCRIPT = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, n); INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2);"
)


def after(*statements: str) -> bytes:
    connection = connect(build(SCRIPT))
    for statement in statements:
        connection.execute(statement)
    return connection.serialize()


@pytest.mark.parametrize(
    "script",
    [
        "ATTACH '/tmp/x' AS x; CREATE TABLE t (a);",
        "CREATE TABLE t (a); PRAGMA writable_schema = 1;",
        "CREATE TABLE t (a); INSERT INTO t VALUES (random());",
        "CREATE TABLE t (a); INSERT INTO t VALUES (date('now'));",
        "CREATE TABLE t (a, b DEFAULT CURRENT_TIMESTAMP); INSERT INTO t (a) VALUES (1);",
        "CREATE TABLE t (a, b DEFAULT (random())); INSERT INTO t (a) VALUES (1);",
        "CREATE TABLE t (a); CREATE TRIGGER g AFTER INSERT ON t BEGIN DELETE FROM t; END;",
        "CREATE VIRTUAL TABLE t USING fts5(a);",
        "CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(900000000));",
        "CREATE TABLE t (a);WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT 1 FROM r) INSERT INTO t SELECT * FROM r;",
        "SELECT 1;",
        "CREATE TABEL t",
    ],
)
def test_a_script_may_only_make_tables_and_rows(script: str) -> None:
    with pytest.raises(DatabaseError):
        build(script)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT sql FROM sqlite_master",
        "DROP TABLE t",
        "CREATE TABLE u (a)",
        "ATTACH '/etc/passwd' AS x",
        "SELECT load_extension('x')",
        "PRAGMA table_info(t)",
        "SELECT randomblob(4)",
        "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT count(*) FROM r",
    ],
)
def test_the_guard_leaves_reading_and_writing_of_rows(statement: str) -> None:
    connection = connect(build(SCRIPT))
    with pytest.raises(DatabaseError), guarded(connection):
        connection.execute(statement).fetchall()
    with guarded(connection):
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (2,)


def test_changes_are_whole_rows() -> None:
    assert changes(build(SCRIPT), build(SCRIPT)) == {}
    assert changes(build(SCRIPT), after("UPDATE t SET n = 5 WHERE id = 2")) == {
        "t": {"removed": [[2, "b", 2]], "added": [[2, "b", 5]]}
    }
    assert changes(build(SCRIPT), after("UPDATE t SET n = 5 WHERE id = 2"), ["t.n"]) == {}


def test_a_type_is_part_of_a_value() -> None:
    assert changes(build(SCRIPT), after("UPDATE t SET n = '2' WHERE id = 2"))
    assert changes(build(SCRIPT), after("UPDATE t SET n = 2.0 WHERE id = 2"))
