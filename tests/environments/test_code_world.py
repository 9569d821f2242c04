"""Code tasks: tools over a workspace, the score by the suite, and every way found to forge it."""

import json
import os
from pathlib import Path

import pytest

from baleen.environments import Task, TaskError, environment_for
from baleen.environments.code import CodeWorld
from baleen.environments.code.launcher import FrameError, pack, unpack
from tests.synthesis.code_repos import (
    CMAKE,
    FAULT,
    NODE,
    PASSING,
    PYTHON,
    RECTANGLE,
    SQUARE,
    put_task,
)


@pytest.fixture(scope="module")
def task(assets: Path) -> Task:
    return put_task(assets, PYTHON, FAULT, [*SQUARE, *RECTANGLE], PASSING)


@pytest.fixture
def world(assets: Path, task: Task) -> CodeWorld:
    world = environment_for(task, assets)
    assert isinstance(world, CodeWorld)
    world.reset()
    return world


def call(world: CodeWorld, name: str, **arguments: object) -> str:
    function = {"name": name, "arguments": json.dumps(arguments)}
    message = {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": function}]}
    (reply,) = world.step(message)
    return str(reply["content"])


def mend(world: CodeWorld) -> None:
    assert call(world, "edit", path=FAULT[0], old="width + height", new="width * height").startswith("edited")


def test_the_mended_workspace_scores_and_the_untouched_does_not(world: CodeWorld) -> None:
    grade = world.grade()
    assert grade.score == 0.0 and "still fail" in grade.reason
    mend(world)
    assert world.score({"role": "assistant", "content": "done"}) == 1.0
    assert world.tree == world.solution


def test_a_mended_fault_with_a_new_one_does_not_score(world: CodeWorld) -> None:
    mend(world)
    call(world, "edit", path=FAULT[0], old="width < 0", new="width < -9")
    grade = world.grade()
    assert grade.score == 0.0 and "fail now" in grade.reason


def test_commands_change_the_workspace_and_leave_nothing_else(world: CodeWorld) -> None:
    assert call(world, "bash", command="pwd; ls; echo new > shapes/data.txt; exit 3").splitlines() == [
        "/tmp/repo",
        "CHANGES.md",
        "shapes",
        "tests",
        "[exit code 3]",
    ]
    assert world.tree["shapes/data.txt"] == ("100644", b"new\n")
    call(
        world, "bash", command="rm -r tests; ln -s /etc/passwd link; setsid sleep 1000 & echo x > /tmp/other"
    )
    assert "tests/test_area.py" not in world.tree and world.tree["link"] == ("120000", b"/etc/passwd")
    assert call(world, "bash", command="ls /tmp; pgrep -x sleep").splitlines() == ["repo", "[exit code 1]"]
    assert "1 passed" in call(
        world, "bash", command="echo 'def test_a(): pass' > test_a.py; python3 -m pytest -q test_a.py"
    )


def test_snapshots_and_reset(world: CodeWorld) -> None:
    call(world, "bash", command="chmod +x shapes/area.py; echo 1 > a; ln -s a b")
    state, tree = world.snapshot(), world.tree
    world.reset()
    assert world.tree != tree
    world.restore(state)
    assert world.tree == tree and world.snapshot() == state
    assert call(world, "bash", command="cat b; test -x shapes/area.py && echo yes").splitlines()[:2] == [
        "1",
        "yes",
    ]


def test_view_and_edit(world: CodeWorld) -> None:
    assert call(world, "view", path="/tmp/repo").splitlines() == ["CHANGES.md", "shapes/", "tests/"]
    assert call(world, "view", path="shapes/area.py", first=4, last=4) == (
        "     4\t    return width + height\n[8 lines in all]"
    )
    assert call(world, "edit", path="shapes/new.py", old="", new="x = 1\n") == "created shapes/new.py"
    for arguments, why in [
        ({"path": "shapes/new.py", "old": "", "new": "y"}, "exists"),
        ({"path": "shapes", "old": "", "new": "y"}, "exists"),
        ({"path": "shapes/area.py", "old": "side", "new": "y"}, "occurs 3 times"),
        ({"path": "shapes/area.py", "old": "nothing", "new": "y"}, "occurs 0 times"),
        ({"path": "../../etc/passwd", "old": "", "new": "y"}, "outside"),
        ({"path": "nowhere.py", "old": "x", "new": "y"}, "no file"),
        ({"path": "shapes/new.py", "old": "x", "new": "\ud800"}, "Unicode"),
    ]:
        answer = call(world, "edit", **arguments)
        assert answer.startswith("error: ") and why in answer
    call(world, "bash", command="ln -s /etc/passwd link; head -c 9 /dev/zero | tr '\\0' '\\377' > raw")
    for path in ("link", "raw"):
        assert "not a text file" in call(world, "view", path=path)
    assert "the workspace is as it was" in call(world, "bash", command="kill -9 $PPID")


@pytest.mark.parametrize(
    ("old", "new", "after"),
    [
        ("two\nthree", "2\n3", b"one\r\n2\r\n3\r\nfour"),
        ("two", "2\n2.5", b"one\r\n2\r\n2.5\r\nthree\r\nfour"),
        ("two\n", "", b"one\r\nthree\r\nfour"),
        ("two\r\nthree\r\n", "2\r\n", b"one\r\n2\r\nfour"),
        ("two\r\n", "2\n", b"one\r\n2\nthree\r\nfour"),  # what is spelled out is taken as it is
    ],
)
def test_an_edit_keeps_the_line_ends_of_the_file(world: CodeWorld, old: str, new: str, after: bytes) -> None:
    call(world, "bash", command="printf 'one\\r\\ntwo\\r\\nthree\\r\\nfour' > dos.txt")
    assert call(world, "edit", path="dos.txt", old=old, new=new) == "edited dos.txt"
    assert world.tree["dos.txt"][1] == after


def test_line_ends_of_other_files_are_left_alone(world: CodeWorld) -> None:
    call(world, "bash", command="printf 'a\\nb\\n' > unix.txt; printf 'a\\r\\nb\\nc\\r\\n' > mixed.txt")
    assert call(world, "edit", path="unix.txt", old="a", new="1\n2\r\n3") == "edited unix.txt"
    assert world.tree["unix.txt"][1] == b"1\n2\r\n3\nb\n"
    assert call(world, "edit", path="mixed.txt", old="b\nc", new="2\n3") == "edited mixed.txt"
    assert world.tree["mixed.txt"][1] == b"a\r\n2\n3\r\n"


@pytest.mark.parametrize("path", ["\ud800", "a\0b", "é" * 128, "shapes/area.py/x", "d/" * 600 + "x"])
def test_no_name_of_a_file_makes_the_sandbox_fail(world: CodeWorld, path: str) -> None:
    """A sandbox that fails gives no reward: a policy that can bring that about can hide a wrong solution."""
    assert call(world, "edit", path=path, old="", new="x").startswith("error: ")
    assert "[exit code 0]" in call(world, "bash", command="ls")


def test_a_name_that_is_not_utf_8_is_no_obstacle(world: CodeWorld) -> None:
    assert "[exit code 0]" in call(world, "bash", command="echo 1 > $'caf\\xe9'")
    assert "caf\udce9" in call(world, "view", path="").splitlines()
    assert "1\n[exit code 0]" in call(world, "bash", command="cat caf*")


def test_a_workspace_cannot_grow_without_end(world: CodeWorld) -> None:
    before = world.tree
    assert "4000 files" in call(world, "bash", command="seq 5000 | xargs touch")
    assert "grew beyond" in call(world, "bash", command="head -c 40000000 /dev/zero > big")
    assert world.tree == before
    shown = call(world, "bash", command="yes | head -c 100000000")
    assert len(shown) < 13_000 and shown.endswith("[exit code 0]")


REPORT = (
    "<testsuites><testsuite>"
    + "".join(
        f'<testcase classname="{name.partition("::")[0]}" name="{name.partition("::")[2]}"/>'
        for name in PASSING
    )
    + "</testsuite></testsuites>"
)
TO_EVERY_PIPE = f"""
import os
for fd in range(3, 64):
    try:
        os.write(fd, {REPORT!r}.encode())
    except OSError:
        pass
"""
FORGERIES = {
    "delete the failing tests": "rm -r tests",
    "empty the failing tests": "echo 'def test_square(): pass' > tests/test_area.py",
    "skip by conftest": "echo 'collect_ignore_glob = [\"*\"]' > conftest.py",
    "pass by conftest": (
        "for d in . tests shapes; do cat > $d/conftest.py <<'E'\n"
        "import pytest\n"
        "@pytest.hookimpl(tryfirst=True)\n"
        "def pytest_pyfunc_call(pyfuncitem): return True\n"
        "E\ndone"
    ),
    "configuration": "printf '[pytest]\\naddopts = --deselect tests\\npython_functions = no_*\\n' > pytest.ini",
    "sitecustomize": (
        "for d in . shapes; do cat > $d/sitecustomize.py <<'E'\nimport os; os._exit(0)\nE\n"
        "cp $d/sitecustomize.py $d/usercustomize.py; done"
    ),
    "a module in pytest's place": "echo 'import os; os._exit(0)' | tee pytest.py _pytest.py pluggy.py json.py",
    "a plugin by metadata": (
        "mkdir evil.dist-info; printf 'Metadata-Version: 2.1\\nName: evil\\nVersion: 1\\n' > evil.dist-info/METADATA;"
        "printf '[pytest11]\\nevil = evil\\n' > evil.dist-info/entry_points.txt;"
        "printf 'def pytest_pyfunc_call(pyfuncitem): return True\\n' > evil.py"
    ),
    "a report laid out before": f"printf '%s' '{REPORT}' | tee report.xml junit.xml /tmp/report.xml",
    "bytecode": "mkdir -p shapes/__pycache__; echo x > shapes/__pycache__/area.cpython-311.pyc",
    "links": "rm shapes/area.py; ln -s $(python3 -c 'import pytest; print(pytest.__file__)') shapes/area.py",
    "exit before the tests": "printf 'import os\\nos._exit(0)\\n' >> shapes/area.py",
    "a report and an early exit": f"cat >> shapes/area.py <<'E'\n{TO_EVERY_PIPE}\nos._exit(0)\nE",
    "a report and a closed pipe": (
        f"cat >> shapes/area.py <<'E'\n{TO_EVERY_PIPE}\nnull = os.open('/dev/null', os.O_WRONLY)\n"
        "for fd in range(3, 64):\n    try:\n        if os.readlink(f'/proc/self/fd/{fd}').startswith('pipe'):\n"
        "            os.dup2(null, fd)\n    except OSError:\n        pass\nE"
    ),
    "a report at exit": (
        f"cat >> shapes/area.py <<'E'\nimport atexit\n@atexit.register\ndef forge():\n"
        f"    import os\n    text = {REPORT!r}\n"
        "    for fd in range(3, 64):\n        try: os.write(fd, text.encode())\n        except OSError: pass\nE"
    ),
    "a reporter that lies": (
        "cat >> shapes/area.py <<'E'\nfrom _pytest.reports import TestReport\n"
        "real = TestReport.from_item_and_call.__func__\n"
        "def from_item_and_call(cls, item, call):\n"
        "    call.excinfo = None\n    return real(cls, item, call)\n"
        "TestReport.from_item_and_call = classmethod(from_item_and_call)\nE"
    ),
    "tests that do not run": (
        "cat >> shapes/area.py <<'E'\nfrom _pytest.python import Function\n"
        "Function.runtest = lambda self: None\nE"
    ),
    "a report of its own class": (
        "cat >> shapes/area.py <<'E'\nfrom _pytest.junitxml import _NodeReporter, LogXML\n"
        "_NodeReporter.append_failure = lambda self, report: self.append_pass(report)\n"
        "import _pytest.main, _pytest.config\n"
        "_pytest.main.Session._setupstate = None\n"
        "from _pytest.main import Session\n"
        "Session.testsfailed = property(lambda self: 0, lambda self, value: None)\nE"
    ),
    "an end of the helper": "printf 'import os\\nos.kill(os.getppid(), 9)\\n' >> shapes/area.py",
    "a result in the helper's place": (
        "cat >> shapes/area.py <<'E'\nimport os\ntry:\n"
        "    out = os.open(f'/proc/{os.getppid()}/fd/1', os.O_WRONLY)\n"
        '    header = b\'{"code": 0, "output": "", "overflow": false, "seconds": 1, "files": [], "report": "\'\n'
        f"    os.write(out, header + {REPORT!r}.replace('\"', '\\\\\"').encode() + b'\"}}\\n')\n"
        "    os.kill(os.getppid(), 9)\nexcept OSError as error:\n    raise SystemExit(f'{error}')\nE"
    ),
    "a daemon that waits": (
        "cat >> shapes/area.py <<'E'\nimport os, time\nif os.fork() == 0:\n    os.setsid()\n    time.sleep(1)\n"
        f"    text = {REPORT!r}\n"
        "    for fd in range(3, 64):\n        try: os.write(fd, text.encode())\n        except OSError: pass\n"
        "    os._exit(0)\nE"
    ),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_score_nothing(world: CodeWorld, name: str) -> None:
    assert "[exit code 0]" in call(world, "bash", command=FORGERIES[name])
    grade = world.grade()
    assert grade.score == 0.0
    seen_through = {
        "a report and an early exit": "control",
        "a report and a closed pipe": "exit code and report disagree",
        "a report at exit": "unreadable report",
        "a reporter that lies": "control",
        "tests that do not run": "control",
        "a report of its own class": "control",
        "an end of the helper": "sandbox ended",
        "exit before the tests": "no report",
    }
    if name in seen_through:
        assert grade.reason.startswith(seen_through[name]), grade.reason


def test_what_does_not_count_does_no_harm_either(world: CodeWorld) -> None:
    for name in (
        "delete the failing tests",
        "pass by conftest",
        "configuration",
        "a module in pytest's place",
    ):
        call(world, "bash", command=FORGERIES[name])
    mend(world)
    assert world.grade().score == 1.0


def test_a_hanging_solution_ends(assets: Path) -> None:
    hanging = put_task(assets, PYTHON, FAULT, SQUARE, PASSING, seconds=2.0)
    world = CodeWorld(hanging, assets)
    call(world, "edit", path=FAULT[0], old="return width + height", new="while True: pass")
    grade = world.grade()
    assert grade.score == 0.0 and grade.reason.startswith("time limit")


def test_node(assets: Path) -> None:
    passing = ["total > adds", "total > of nothing is 0", "larger"]
    edit = (
        "lib/sums.js",
        5,
        "  for (let n = 0; n < numbers.length; n += 1) {",
        "  for (let n = 1; n < numbers.length; n += 1) {",
    )
    world = CodeWorld(put_task(assets, NODE, edit, passing[:1], passing, "node"), assets)
    assert "still fail" in world.grade().reason
    for forgery in (
        "process.exit(0);",
        "for (const k of Object.keys(require('assert'))) require('assert')[k] = () => {};",
        "require('fs').rmSync('test', {recursive: true});",
    ):
        call(world, "bash", command=f"cat >> lib/sums.js <<'E'\n{forgery}\nE")
        assert world.grade().score == 0.0, forgery
        world.reset()
    call(world, "bash", command="sed -i 's/let n = 1/let n = 0/' lib/sums.js; rm -r test")
    assert world.grade().score == 1.0, world.grade().reason


def test_cmake(assets: Path) -> None:
    edit = (
        "src/clamp.cpp",
        7,
        "  return value > high ? high : value;",
        "  return value > high ? value : high;",
    )
    world = CodeWorld(put_task(assets, CMAKE, edit, ["high"], ["high", "low"], "ctest", 60.0), assets)
    assert "still fail" in world.grade().reason
    for forgery, reason in (
        ("#include <unistd.h>\nstatic int done = (_exit(0), 0);", "still fail"),
        (
            "#include <unistd.h>\n#include <sys/syscall.h>\nstatic long d = syscall(SYS_exit_group, 0);",
            "control",
        ),
    ):
        call(world, "bash", command=f"cat >> src/clamp.cpp <<'E'\n{forgery}\nE")
        grade = world.grade()
        assert grade.score == 0.0 and reason in grade.reason, (forgery, grade)
        world.reset()
    call(
        world,
        "bash",
        command="sed -i 's/? value : high/? high : value/' src/clamp.cpp; rm -r tests CMakeLists.txt",
    )
    assert world.grade().score == 1.0, world.grade().reason


def test_assets_must_be_there(task: Task, tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="assets"):
        CodeWorld(task, None)
    with pytest.raises(TaskError, match="assets"):
        CodeWorld(task, tmp_path)


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "a//x", "", "."])
def test_frames_stay_below_their_root(path: str) -> None:
    with pytest.raises(FrameError):
        unpack(pack({}, {path: ("100644", b"x")}))
    assert unpack(pack({"a": 1}, {os.fsdecode(b"\xff/b"): ("100755", b"x\n")})) == (
        {"a": 1},
        {os.fsdecode(b"\xff/b"): ("100755", b"x\n")},
    )
