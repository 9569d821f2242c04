"""The interpreter's world: what its kernel survives, what it costs when it does not, and that nothing is left over."""

import asyncio
import gc
import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from baleen.agent import Limits, ScriptedPolicy, StopReason, rollout
from baleen.chat import Message, Tokenizer
from baleen.config.engine import SamplingParams
from baleen.environments import Task, environment_for
from baleen.environments.interpreter import SYSTEM_MESSAGE, InterpreterWorld, Kernel, kernel
from baleen.environments.task import answer_message, call_message

SECRET = "73911"


def task_of(answer: str = SECRET, **data: object) -> Task:
    question: Message = {"role": "user", "content": "How many?"}
    return Task("t", "interpreter", "f", 1, "train", (SYSTEM_MESSAGE, question), answer, data)


@pytest.fixture(scope="module")
def session() -> Iterator[Kernel]:
    with Kernel() as one:
        yield one


@pytest.fixture(scope="module")
def world() -> Iterator[InterpreterWorld]:
    world = InterpreterWorld(task_of(), cell_seconds=1.0)
    yield world
    world.close()


def call(world: InterpreterWorld, code: str) -> str:
    (result,) = world.step(call_message("python", {"code": code}))
    return str(result["content"])


def test_values_prints_and_errors_are_shown_in_order(session: Kernel) -> None:
    cell = session.run("import sys\nprint('a')\nprint('b', file=sys.stderr)\n6 * 7", 10)
    assert (cell.status, cell.text) == ("ok", "a\nb\n42\n")
    cell = session.run("print('first')\n1 / 0", 10)
    assert cell.status == "error" and cell.text.startswith("first\nTraceback")
    assert cell.text.endswith("ZeroDivisionError: division by zero\n") and "\x1b" not in cell.text


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
        ("bytearray(3_000_000_000)", "MemoryError"),
        ("blocks = []\nwhile True: blocks.append(bytearray(1 << 22))", "MemoryError"),
        ("f = lambda: f()\nf()", "RecursionError"),
        ("input()", "StdinNotImplementedError"),
        ("raise SystemExit(3)", "SystemExit"),
    ],
)
def test_the_state_survives(session: Kernel, code: str, says: str) -> None:
    assert session.run("kept = 41", 10).status == "ok"
    cell = session.run(code, 20)
    assert says in cell.text and cell.status in ("ok", "error")
    assert session.run("blocks = None\nkept + 1", 10).text == "42\n"


def test_an_interrupt_keeps_the_state(world: InterpreterWorld) -> None:
    assert call(world, "x = 5\nprint('go')") == "go"
    shown = call(world, "print('on')\nwhile True: pass")
    assert shown.startswith("on\n") and shown.endswith("interrupted after 1 seconds; all variables are kept")
    assert call(world, "x") == "5"


def test_code_that_heeds_no_interrupt_costs_the_state_and_says_so(world: InterpreterWorld) -> None:
    call(world, "x = 5")
    assert "all variables are lost" in call(world, "sum(range(10 ** 13))")
    assert "NameError" in call(world, "x")
    assert world.snapshot() == b'["x"]', "only what the present state came from"


def test_a_kernel_that_ends_is_replaced(world: InterpreterWorld) -> None:
    assert "all variables are lost" in call(world, "import os; os._exit(0)")
    assert call(world, "1 + 1") == "2"


@pytest.mark.parametrize("number", ["SIGKILL", "SIGSTOP"])
def test_a_driver_that_answers_no_more_costs_the_state(
    world: InterpreterWorld, number: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "_SPARE_SECONDS", 0.2)
    monkeypatch.setattr(kernel.driver, "GRACE", 0.2)
    assert "all variables are lost" in call(
        world, f"import os, signal; os.kill(os.getppid(), signal.{number})"
    )
    assert call(world, "2 + 2") == "4"


@pytest.mark.parametrize(
    "line",
    ["'[' * 100_000", "'{\"status\": [1]}'", '\'{"status": "new"}\'', "'5'", "'\\udcff'", "'x' * (1 << 22)"],
)
def test_lines_that_no_driver_writes_are_not_believed(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "driver.py"
    ready = '{"status": "ready"}'
    script.write_text(
        "import sys\nsys.stdout.reconfigure(errors='surrogateescape')\n"
        f"print('{ready}', flush=True)\ninput()\nprint({line}, flush=True)\ninput()\n"
    )
    script.chmod(0o644)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(kernel.driver, "__file__", str(script))
    with Kernel() as one:
        assert one.run("1", 5).status == "lost"
        assert not one.is_running


def test_long_output_keeps_its_beginning_and_its_end(session: Kernel) -> None:
    text = session.run("print('a' * 50_000, 'b' * 50_000, sep='')", 10).text
    assert text.startswith("aaa") and text.rstrip().endswith("bbb") and "92001 characters left out" in text
    assert len(text) < 9_000


def test_a_flood_of_output_is_interrupted(world: InterpreterWorld) -> None:
    shown = call(world, "while True: print('y' * 1000)")
    assert len(shown) < 9_000 and "error: " in shown
    assert call(world, "1 + 1") == "2"


def test_the_kernel_sees_neither_network_nor_files_of_this_machine(session: Kernel) -> None:
    assert "PermissionError" in session.run("import socket; socket.socket(socket.AF_INET)", 10).text
    here = os.path.dirname(os.path.abspath(__file__))
    assert "FileNotFoundError" in session.run(f"open({os.path.join(here, 'test_suite.py')!r})", 10).text
    assert session.run("import os; os.getuid() != 0", 10).text == "True\n"
    assert session.run("open('notes', 'w').write('x'); open('notes').read()", 10).text == "'x'\n"


def test_restore_runs_the_cells_again(world: InterpreterWorld) -> None:
    world.reset()
    assert world.snapshot() == b"[]"
    call(world, "x = 1")
    call(world, "x += 1\n1 / 0")
    state = world.snapshot()
    call(world, "x = 99\ny = 1")
    world.restore(state)
    assert call(world, "x, 'y' in globals()") == "(2, False)"


def test_kernels_agree_and_leave_nothing_behind() -> None:
    """Descriptors, threads, children (no folder is ever made); the first one may start what all share."""

    def descriptors() -> Iterator[str]:
        for number in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):
                target = os.readlink(f"/proc/self/fd/{number}")
                # a sandbox of another test that is watched meanwhile is looked at there
                if not target.startswith("/proc/"):
                    yield target

    def left() -> tuple[int, int, str]:
        gc.collect()
        with open(f"/proc/self/task/{os.getpid()}/children") as children:
            return len(list(descriptors())), threading.active_count(), children.read()

    counts, shown = [], set()
    for _ in range(3):
        with Kernel() as one:
            shown.add(one.run("import random\nrandom.random(), hash('a'), set('abcdef')", 10).text)
        one.close()
        counts.append(left())
    grown = [after > before for after, before in zip(counts[2][:2], counts[1][:2], strict=True)]
    assert not any(grown), f"(descriptors, threads, children): {counts}"
    assert counts[1][2] == counts[2][2]
    assert len(shown) == 1 and "{" in shown.pop()


def test_an_episode_through_the_loop(tokenizer: Tokenizer) -> None:
    task = task_of("55", program="print(sum(range(11)))")
    script = [
        call_message("python", {"code": "total = sum(range(11))"}, "add"),
        call_message("python", {"code": "total"}, "look"),
        answer_message("The sum is\n#### 55", "done"),
    ]
    policy = ScriptedPolicy(tokenizer, "thinking", script)
    world = environment_for(task)
    limits = Limits(max_turns=5, max_length=100_000)
    done = asyncio.run(rollout(policy, tokenizer, world, "thinking", SamplingParams(max_tokens=64), limits))
    world.close()
    assert (done.stop_reason, done.reward, done.tool_calls) == (StopReason.FINISHED, 1.0, 2)
    assert [m["content"] for m in done.messages if m["role"] == "tool"] == ["(no output)", "55"]


def test_the_score_does_not_believe_a_call() -> None:
    world = InterpreterWorld(task_of("55"))
    assert world.score(answer_message("#### 55")) == 1.0
    assert world.score(answer_message("#### 56")) == 0.0
    assert world.score(call_message("python", {"code": "55"}) | {"content": "55"}) == 0.0
    assert world.score({"role": "user", "content": "55"}) == 0.0
    assert InterpreterWorld(task_of("3.14159", tolerance="0.01")).score(answer_message("3.15")) == 1.0


def test_a_machine_without_jupyter_gets_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Kernel()
    monkeypatch.setattr(kernel.sys, "executable", "/usr/bin/false")
    with pytest.raises(kernel.ToolFailure, match=r"pip install -e '.+\[agents\]'"):
        one.run("1", 5)
    assert not one.is_running
