"""A contender's process as its parent sees it: started with pinned threads, asked one thing at a time, ended by its id.

A process of its own, because OpenMP reads its settings once, when a library is loaded, and because memory goes back to
the system only when a process ends. Requests and replies are JSON, a line each, over the process's own pipes.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import baleen
from baleen.config import UserError
from baleen.config.engine import WeightDtype
from baleen.runs.json_pipe import JsonPipe, PipeError

LONGEST_REPLY = 1 << 24  # bytes
PATIENCE = 10.0  # seconds a process has to end by itself


class ContenderError(UserError):
    """A contender's process failed, ended, or did not answer in time; the message says which and at what."""


def pinned(threads: int) -> dict[str, str]:
    """The environment's settings that decide how a contender uses the processor.

    Waiting threads sleep: spinning ones burn the cores that the others compute on, which on two cores has made an
    engine a thousand times slower.
    """
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return dict.fromkeys(names, str(threads)) | {"OMP_WAIT_POLICY": "PASSIVE", "OMP_DYNAMIC": "FALSE"}


def weights_of(engine: str, weights: WeightDtype) -> WeightDtype:
    """The type of an engine's weights where `weights` are asked for: transformers has no int8."""
    return "bfloat16" if engine == "transformers" and weights == "int8" else weights


class Contender:
    """A running `baleen.bench.worker`; a context manager that leaves no process behind."""

    def __init__(self, engine: str, threads: int, seconds: float):
        self.engine = engine
        self.seconds = seconds  # the longest that one answer may take
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, closed by `__exit__`
        # the child must run this very package, wherever it was started from
        paths = [str(Path(baleen.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
        settings = pinned(threads) | {
            "PYTHONPATH": os.pathsep.join(filter(None, paths)),
            "TOKENIZERS_PARALLELISM": "false",
            "HF_HUB_OFFLINE": "1",  # everything that is measured is on this machine
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "baleen.bench.worker", engine],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            bufsize=0,
            env=os.environ | settings,
        )
        self._pipe = JsonPipe(self._process, LONGEST_REPLY)

    def ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Have one operation done. Raises ContenderError when it fails or takes longer than `seconds`."""
        try:
            answer = self._pipe.ask({"operation": operation} | arguments, self.seconds)
        except PipeError as error:
            if error.kind == "timeout":
                self.end(patience=0)
                raise ContenderError(
                    f"{self.engine} took longer than {self.seconds:g} s at {operation}; raise --seconds"
                ) from None
            raise ContenderError(self._ending(operation)) from None
        if "error" in answer:
            raise ContenderError(f"{self.engine} failed at {operation}: {answer['error']}")
        return answer

    def _ending(self, operation: str) -> str:
        code = self.end()
        self._log.seek(max(0, self._log.seek(0, os.SEEK_END) - 4096))
        lines = self._log.read().decode("utf-8", "replace").strip().splitlines()
        hint = "; it may have run out of memory" if code == -9 else ""
        last = f": {lines[-1][:300]}" if lines else ""
        return f"{self.engine} ended with code {code} at {operation}{hint}{last}"

    def end(self, patience: float = PATIENCE) -> int:
        """End the process: by closing its input, and by force when that takes longer than `patience` seconds."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None, "the pipes are asked for"
        with suppress(BrokenPipeError):  # something was left to write to a process that is gone
            process.stdin.close()
        try:
            return process.wait(timeout=patience)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def __enter__(self) -> "Contender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(PATIENCE if kind is None else 0)
        assert self._process.stdout is not None, "the pipe is asked for"
        self._process.stdout.close()
        self._log.close()


@dataclass(frozen=True)
class Served:
    """One model as all engines get it.

    plain: ours without its CPU kernels. limits: the other fields of our `EngineConfig`. precise: for comparing numbers.
    """

    folder: Path
    gguf: Path
    weights: WeightDtype
    plain: bool
    vocab_size: int
    limits: dict[str, int]
    precise: bool = False


def start(stack: ExitStack, engine: str, served: Served, threads: int, seconds: float) -> Contender:
    """`engine` with the model loaded; `stack` ends it. Raises ContenderError when it cannot load."""
    arguments: dict[str, Any] = {"threads": threads}
    if engine == "llama.cpp":
        arguments |= {"file": str(served.gguf), "max_model_len": served.limits["max_model_len"]}
        arguments |= {"vocab_size": served.vocab_size, "precise": served.precise}
    elif engine == "transformers":
        arguments |= {"folder": str(served.folder), "dtype": weights_of(engine, served.weights)}
    else:
        computes = {"weight_dtype": served.weights, "backend": "torch" if served.plain else "auto"}
        arguments |= {"folder": str(served.folder), "config": served.limits | computes}
    contender = stack.enter_context(Contender(engine, threads, seconds))
    contender.ask("load", **arguments)
    return contender
