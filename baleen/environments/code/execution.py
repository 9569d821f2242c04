"""Running one command on a tree in the sandbox: a tree in; output, report and the changed tree out."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from baleen.environments.code.junit import MAX_BYTES
from baleen.environments.code.launcher import READY, FrameError, pack, unpack
from baleen.environments.code.tree import MAX_TREE_BYTES, MAX_TREE_FILES, Tree
from baleen.environments.sandbox import Mount, Sandbox, SandboxLimits
from baleen.environments.task import ToolFailure

ROOT = "/tmp/repo"
_PYTHON = f"python3.{sys.version_info.minor}"
_OUTPUT_BYTES = 1 << 16
_GRACE = 30.0  # seconds for writing the tree before a command and reading it back afterwards
_LAUNCHER = Path(__file__).with_name("launcher.py")
_LIMITS = SandboxLimits(
    memory_bytes=16 << 30,  # address space; V8 reserves far more than it uses
    cpu_seconds=600,  # of each process; a command is ended by its wall time
    processes=128,
    tmp_bytes=512 << 20,
    output_bytes=2 * MAX_TREE_BYTES + MAX_BYTES,
)


@dataclass(frozen=True)
class Run:
    """The result of a command.

    Attributes:
        code: exit code, negative for a signal, None if the time limit was exceeded.
        output: stdout and stderr.
        report: the test report, empty if there is none.
        tree: the tree afterwards, None if it grew too large or was not asked for.
        seconds: wall time.
        died: the command killed the sandbox's own helper; the other fields say nothing then.
    """

    code: int | None
    output: str
    report: bytes
    tree: Tree | None
    seconds: float
    died: bool = False


class Shell:
    """Runs commands on trees."""

    def __init__(self, runtime: Path | None = None, python_path: Sequence[str] = ()) -> None:
        """Prepare the sandbox.

        Args:
            runtime: folder of Python packages. It takes the place of the interpreter's own packages, read-only, so that
                no package of this machine is used.
            python_path: folders of the tree to import from.

        Raises:
            SandboxUnavailable: this machine cannot enforce the sandbox.
        """
        prefix = Path(sys.base_prefix).resolve()
        mounts = [] if prefix.is_relative_to("/usr") else [Mount(prefix, str(prefix))]
        if runtime is not None:
            places = list(filter(os.path.isdir, _package_folders(prefix)))
            mounts += [Mount(runtime.resolve(), place) for place in places]
        self._python = str((prefix / "bin" / _PYTHON).resolve())
        self._env = {
            "PATH": f"{prefix}/bin:/usr/local/bin:/usr/bin:/bin",
            "HOME": "/tmp",
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONPATH": ":".join(ROOT if path == "." else f"{ROOT}/{path}" for path in python_path),
            "PYTHONHASHSEED": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
        }
        self._sandbox = Sandbox(mounts, _LIMITS)

    @property
    def python(self) -> str:
        """The interpreter's path in the sandbox."""
        return self._python

    def run(
        self,
        tree: Tree,
        argv: Sequence[str],
        seconds: float,
        *,
        keep: bool = False,
        report: Literal["none", "pipe", "file"] = "none",
    ) -> Run:
        """Run a command at the root of a tree.

        Args:
            tree: the files that the command sees.
            argv: the command; `{report}` stands for the place of its test report.
            seconds: time limit.
            keep: whether to return the changed tree.
            report: how the report is read: from a pipe, or from a file for programs that cannot write to a pipe.

        Raises:
            ToolFailure: something went wrong before the command began.
        """
        request = {
            "argv": list(argv),
            "env": self._env,
            "root": ROOT,
            "seconds": seconds,
            "keep": keep,
            "report": report,
            "output_bytes": _OUTPUT_BYTES,
            "report_bytes": MAX_BYTES,
            "tree_bytes": MAX_TREE_BYTES,
            "tree_files": MAX_TREE_FILES,
        }
        limits = replace(_LIMITS, wall_seconds=seconds + _GRACE)
        launcher = [self._python, "-I", "-S", "-c", _source()]
        outcome = self._sandbox.run(launcher, pack(request, dict(tree)), limits)
        if outcome.ended != "exit" or outcome.returncode:
            if not outcome.stderr.startswith(READY.encode()):
                said = outcome.reason or outcome.stderr.decode("utf-8", "replace").strip()[-500:]
                raise ToolFailure(f"the sandbox cannot run {self._python}: {said}")
            return Run(None, outcome.reason, b"", None, outcome.seconds, died=True)
        try:
            result, files = unpack(outcome.stdout)
        except FrameError as error:
            return Run(None, str(error), b"", None, outcome.seconds, died=True)
        return Run(
            code=result["code"],
            output=result["output"],
            report=result["report"].encode(),
            tree=None if result["overflow"] or not keep else files,
            seconds=result["seconds"],
        )


def _package_folders(prefix: Path) -> list[str]:
    """The folders where an interpreter with this prefix looks for packages, including those of Debian."""
    own = [f"{prefix}/lib/{_PYTHON}/site-packages"]
    if not prefix.is_relative_to("/usr"):
        return own
    debian = ["/usr/lib/python3/dist-packages", f"/usr/local/lib/{_PYTHON}/dist-packages"]
    return [*debian, f"/usr/lib/{_PYTHON}/site-packages", f"/usr/local/lib/{_PYTHON}/site-packages"]


@cache
def _source() -> str:
    return _LAUNCHER.read_text(encoding="utf-8")
