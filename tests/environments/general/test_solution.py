"""The process boundary is what protects: without the syntax check a solution still reaches nothing but its tools.

The database holds a secret that no tool tells. Each attack looks for it where a database could be reached and returns
what it found.
"""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from baleen.environments.general.database import build
from baleen.environments.general.solution import SolutionError, answer_text, run_solution
from baleen.environments.general.tools import SqlTool, SqlTools

SECRET = "sesame-7413"
SCRIPT = (
    f"CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, s TEXT); INSERT INTO t VALUES (1, 5, '{SECRET}');"
)
READ = SqlTool("read", "", {"id": "integer"}, "SELECT n FROM t WHERE id = :id")
PEEK = SqlTool("peek", "", {}, "SELECT s FROM t")
ADD = SqlTool(
    "add", "", {"id": "integer"}, "SELECT n FROM t", writes=("UPDATE t SET n = n + 1 WHERE id = :id",)
)


def source() -> SqlTools:
    return SqlTools([READ, PEEK, ADD], build(SCRIPT))


def run(body: str, check_ast: bool = False, tools: SqlTools | None = None) -> str:
    text = "def solution(tools):\n" + "".join(f"    {line}\n" for line in body.strip().splitlines())
    return run_solution(text, tools or source(), offered=["read", "add"], check_ast=check_ast)


def test_a_solution_calls_tools_and_computes() -> None:
    tools = source()
    text = "def solution(tools):\n    return tools.read(id=1) * 2 + tools.add(id=1)"
    assert run_solution(text, tools) == "16"
    assert tools.call("read", {"id": 1}) == 6


WORD = "'ses' + 'ame'"  # the attack's own text must not hold what it looks for
ATTACKS = {
    "files": f"""
import os, sys
word, found = ({WORD}).encode(), []
for top in ('/program', '/tmp', '/dev/shm', '/etc', '/run', '/var', '/home', '/root', '/work', '/opt', '/srv'):
    for folder, inner, names in os.walk(top):
        inner[:] = [n for n in inner if os.path.join(folder, n) != sys.base_prefix]
        for name in names:
            try:
                if word in open(os.path.join(folder, name), 'rb').read(1 << 20):
                    found.append(name)
            except OSError:
                pass
return f"found {{found}}"
""",
    "sqlite": """
import sqlite3
found = []
for name in (':memory:', 'file::memory:?cache=shared', 'file:baleen?mode=memory&cache=shared'):
    try:
        found += sqlite3.connect(name, uri=True).execute('SELECT s FROM t').fetchall()
    except sqlite3.OperationalError as error:
        assert 'no such table' in str(error), error
return f"found {found}"
""",
    "frames": f"""
import sys
word, found, frame = {WORD}, [], sys._getframe()
while frame is not None:
    for space in (frame.f_globals, frame.f_locals):
        held = [k for k, v in list(space.items()) if k != 'word' and word in repr(v)]
    found += [k for k in held if 'def solution' not in repr(space[k])]
    frame = frame.f_back
return f"found {{found}}"
""",
    "garbage collector": f"""
import gc, sqlite3
word = {WORD}
held = [o for o in gc.get_objects() if isinstance(o, sqlite3.Connection)]
near = [o for c in gc.get_objects() for o in gc.get_referents(c) if isinstance(o, str) and word in o]
return f"found {{held + [t for t in near if t != word and 'def solution' not in t]}}"
""",
    "memory of other processes": f"""
import os
word, found, denied = ({WORD}).encode(), [], 0
others = [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]
assert len(others) <= 3, others
for pid in {{*others, str(os.getppid()), '1'}}:
    try:
        maps = open(f'/proc/{{pid}}/maps').read().split()
        memory = open(f'/proc/{{pid}}/mem', 'rb')
        memory.read(1)
        found.append(pid)
    except OSError:
        denied += 1
assert denied
return f"found {{found}}"
""",
    "inherited descriptors": f"""
import os
word, found = ({WORD}).encode(), []
kinds = {{os.readlink(f'/proc/self/fd/{{fd}}').split(':')[0] for fd in os.listdir('/proc/self/fd') if int(fd) < 250
         and os.path.exists(f'/proc/self/fd/{{fd}}')}}
assert kinds <= {{'pipe', '/proc/%d/fd' % os.getpid(), '/dev/null'}}, kinds
return f"found {{found}}"
""",
    "network": """
import socket
found = []
for family, address in ((socket.AF_INET, ('127.0.0.1', 22)), (socket.AF_UNIX, '/run/x')):
    try:
        socket.socket(family).connect(address)
        found.append(address)
    except OSError:
        pass
return f"found {found}"
""",
    "debugger": """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
found = [pid for pid in (1, os.getppid()) if libc.ptrace(16, pid, 0, 0) == 0]
return f"found {found}"
""",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_the_database_is_out_of_reach(name: str) -> None:
    assert run(ATTACKS[name]) == "found []"


@pytest.mark.parametrize("name", ["frames", "garbage collector"])
def test_the_attacks_find_what_is_in_their_process(name: str) -> None:
    text = "def solution(tools, hidden):\n" + "".join(f"    {line}\n" for line in ATTACKS[name].splitlines())
    assert run_solution(text, source(), {"hidden": [SECRET]}, check_ast=False) != "found []"


def test_a_tool_that_is_not_offered_cannot_be_called() -> None:
    with pytest.raises(SolutionError, match="no tool 'peek'"):
        run("return tools.peek()")


@pytest.mark.parametrize("slow", [False, True])
def test_lines_written_past_the_proxy_are_calls_like_others(slow: bool) -> None:
    class Slow(SqlTools):
        def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
            time.sleep(0.5)  # long after the program met the refusal and ended
            return super().call(name, arguments)

    body = """
import json, os
for fd in os.listdir('/proc/self/fd'):
    try:
        os.write(int(fd), b'{"tool": "peek", "arguments": {}}\\n')
    except OSError:
        pass
return tools.read(id=1)
"""
    tools = Slow([READ, PEEK, ADD], build(SCRIPT)) if slow else source()
    with pytest.raises(SolutionError, match="no tool 'peek'"):
        run(body, tools=tools)


def test_the_folder_holds_the_solution_and_nothing_else() -> None:
    names = run("import os\nreturn sorted(os.listdir('/program'))")
    assert names == "solution_text.py, solver.py"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("return tools.read(id='x')", "not of type 'integer'"),
        ("return tools.read(id=9)", "nothing found"),
        ("return tools.read()", "required"),
        ("return None", "NoneType"),
        ("return {}", "dict"),
        ("return {1, 2}", "not JSON serializable"),
        ("return 'x' * 1000", "1 to 500"),
        ("return 1 / 0", "ZeroDivisionError"),
        ("import os\nos._exit(0)", "ended"),
        ("import sys\nsys.exit(3)", "SystemExit"),
        ("x = []\nwhile True: x = [x, tools.read(id=1)]", "more than 200 calls"),
        ("x = 'x' * (1 << 40)\nreturn x", "MemoryError"),
    ],
)
def test_a_solution_that_fails_says_why(body: str, why: str) -> None:
    with pytest.raises(SolutionError, match=why):
        run(body)


def test_the_syntax_check_comes_first() -> None:
    with pytest.raises(SolutionError, match="Import is not allowed"):
        run("import os\nreturn 1", check_ast=True)


def test_what_a_solution_prints_is_not_a_call() -> None:
    assert run("import os\nprint('{\"answer\": 1}')\nos.system('echo x')\nreturn 2") == "2"


def test_answers_are_texts() -> None:
    assert answer_text(["b", 2]) == "b, 2"
    assert answer_text(True) == "true"
