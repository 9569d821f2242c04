"""A child that answers, is silent, writes too much or nonsense, or dies: the parent hears of it in time."""

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from baleen.runs.json_pipe import JsonPipe, PipeError

ECHO = "import sys\nfor line in sys.stdin: print(line, end='', flush=True)"


@pytest.fixture
def pipe_to() -> Iterator[object]:
    running: list[subprocess.Popen[bytes]] = []

    def started(program: str) -> JsonPipe:
        words = [sys.executable, "-I", "-c", program]
        running.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0))
        return JsonPipe(running[-1], max_line=100_000)

    yield started
    for process in running:
        process.kill()
        process.communicate()


def test_lines_go_there_and_back(pipe_to) -> None:
    pipe = pipe_to(ECHO)
    for text in ("ä\n", "x" * 90_000, ""):
        assert pipe.ask({"text": text}, seconds=30) == {"text": text}


@pytest.mark.parametrize(
    "program, kind",
    [
        ("pass", "closed"),
        ("import time; time.sleep(60)", "timeout"),
        ("print('[1]', flush=True); input()", "invalid"),
        ("print('[' * 50000, flush=True); input()", "invalid"),
        ("while True: print('x' * 4096, end='')", "too_long"),
    ],
)
def test_what_is_no_answer_has_a_kind(pipe_to, program: str, kind: str) -> None:
    with pytest.raises(PipeError) as caught:
        pipe_to(program).receive(2 if kind == "timeout" else 30)
    assert caught.value.kind == kind


def test_a_child_that_does_not_read_stops_nobody(pipe_to) -> None:
    pipe = pipe_to("import time; time.sleep(60)")
    began = time.monotonic()
    with pytest.raises(PipeError, match="took too long"):
        pipe.send({"text": "x" * (1 << 20)}, seconds=0.2)
    assert time.monotonic() - began < 30
