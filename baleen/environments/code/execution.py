"""One command over a tree in the sandbox: a value in, its output, report and the changed tree out."""

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
_GRACE = 30.0  # seconds around a command for putting the tree in place and reading it back
_LAUNCHER = Path(__file__).with_name("launcher.py")
_LIMITS = SandboxLimits(
    memory_bytes=16 << 30,  # address space, of which V8 reserves far more than it uses
    cpu_seconds=600,  # of each process; the wall time below is what ends a command
    processes=128,
    tmp_bytes=512 << 20,
    output_bytes=2 * MAX_TREE_BYTES + MAX_BYTES,
)


@dataclass(frozen=True)
class Run:
    """code: exit code, negative for a signal, None over the time limit. tree: afterwards, None if it grew too large.

    died: the command ended the sandbox's own helper, so nothing is known but that.
    """

    code: int | None
    output: str
    report: bytes
    tree: Tree | None
    seconds: float
    died: bool = False


class Shell:
    """Runs commands over trees.

    runtime: a folder of Python packages, read-only in the place of the interpreter's own ones, so that no package of
    this machine takes part. python_path: folders of the tree to import from.
    """

    def __init__(self, runtime: Path | None = None, python_path: Sequence[str] = ()) -> None:
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
        """Run `argv` at the root of `tree`. keep: hand the changed tree back.

        report: how `{report}` in `argv` reaches the host: by a pipe, or by a file for programs that cannot write
        to one. Raises ToolFailure for what went wrong before the command began.
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
    """Where an interpreter of this prefix looks for packages, Debian's places among them."""
    own = [f"{prefix}/lib/{_PYTHON}/site-packages"]
    if not prefix.is_relative_to("/usr"):
        return own
    debian = ["/usr/lib/python3/dist-packages", f"/usr/local/lib/{_PYTHON}/dist-packages"]
    return [*debian, f"/usr/lib/{_PYTHON}/site-packages", f"/usr/local/lib/{_PYTHON}/site-packages"]


@cache
def _source() -> str:
    return _LAUNCHER.read_text(encoding="utf-8")
