"""Graders in killable workers: our own functions, run on what others wrote, in a process that may hang or burst.

A sandbox holds code we do not trust. A worker holds code we do trust, while it parses a report that may nest a
million elements: it has this machine's files, but limits on time and memory, and nothing it does can stop us.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from baleen.environments.sandbox.spawner import spawn
from baleen.environments.task import ToolFailure
from baleen.runs.json_pipe import JsonPipe, PipeError

_PROGRAM = Path(__file__).with_name("worker_inside.py")
_READY_SECONDS = 60.0  # for the interpreter to start, and for a function's module to be imported
_MOST = 64 << 20  # bytes of a result
_FAILURES = {
    "timeout": "killed after {seconds:g} seconds",
    "closed": "the worker died",
    "too_long": f"its result was larger than {_MOST} bytes",
    "invalid": "the worker died",
}


@dataclass(frozen=True)
class Result:
    """What a function returned, as JSON values, or why it returned nothing ("" if it did)."""

    value: Any
    failure: str = ""


class Worker:
    """Calls module-level functions of JSON values, one after another, in one process that is started again if it dies.

    memory_bytes: address space of that process. Not for use by several threads at once: they wait for each other.
    """

    def __init__(self, memory_bytes: int = 1 << 30) -> None:
        self._memory = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: JsonPipe
        self._imported: set[str] = set()
        self._lock = threading.Lock()

    def call(self, function: Callable[..., Any], *arguments: Any, seconds: float = 10.0) -> Result:
        """`function(*arguments)`; it is found in the worker by its module and name.

        A failure is an exception's type and text, "killed after N seconds", or the death of the worker: with trusted
        code, all of them are the input's doing. Raises ToolFailure when no worker can be started.
        """
        module = function.__module__
        order = {"module": module, "name": function.__qualname__, "arguments": arguments}
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._stop()
                self._process = self._start()
            if module not in self._imported:  # not part of the function's seconds
                self._import(module)
            try:
                answer = self._pipe.ask(order, seconds)
            except PipeError as error:
                self._stop()
                return Result(None, _FAILURES[error.kind].format(seconds=seconds))
            return Result(answer.get("value"), answer.get("failure", ""))

    def _import(self, module: str) -> None:
        try:
            answer = self._pipe.ask({"module": module}, _READY_SECONDS)
        except PipeError as error:
            answer = {"failure": str(error)}
        if "failure" in answer:
            self._stop()
            raise ToolFailure(f"the worker for grading cannot import {module}: {answer['failure']}")
        self._imported.add(module)

    def close(self) -> None:
        with self._lock:
            self._stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[bytes]:
        settings = json.dumps({"path": sys.path, "memory": self._memory})
        process = spawn([sys.executable, "-I", str(_PROGRAM), settings], ())
        self._pipe = JsonPipe(process, _MOST)
        try:
            self._pipe.receive(_READY_SECONDS)
        except PipeError:
            process.kill()
            raise ToolFailure("no worker for grading could be started") from None
        return process

    def _stop(self) -> None:
        process, self._process = self._process, None
        self._imported.clear()
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
