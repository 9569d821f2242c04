"""Does this machine enforce what a sandbox promises? A sandbox that tries to break out tells."""

import json
import os
import platform
import sys
from functools import cache
from pathlib import Path

from baleen.environments.sandbox.command import INSTALL, Setting, Tools, python_mounts, visible_paths
from baleen.environments.sandbox.limits import Mount, Outcome, SandboxLimits, SandboxUnavailable
from baleen.environments.sandbox.process import run_to_end
from baleen.environments.sandbox.seccomp import machine_is_known
from baleen.environments.task import ToolFailure

_LINUX = (5, 14)  # from then on the process limit is counted by user namespace
_LIMITS = SandboxLimits(
    memory_bytes=256 << 20, cpu_seconds=5, processes=6, tmp_bytes=1 << 20, wall_seconds=10, tmp_files=16
)
_PROGRAM = Path(__file__).with_name("probe_inside.py")
_INSIDE = "/probe.py"


def require_sandbox(tools: Tools) -> None:
    """Raises SandboxUnavailable with the one thing that is wrong. Tried once per process and uid."""
    _require(tools, os.geteuid())


@cache
def _require(tools: Tools, uid: int) -> None:
    if sys.platform != "linux" or not machine_is_known():
        raise SandboxUnavailable(
            f"no sandbox: it needs Linux on x86_64 or aarch64, this is {platform.platform()}"
        )
    release = platform.release()
    if tuple(int(part) for part in release.split("-")[0].split(".")[:2]) < _LINUX:
        raise SandboxUnavailable(f"no sandbox: it needs Linux 5.14 or newer, this is {release}")
    try:
        outcome = _try_out(tools)
    except ToolFailure as error:
        raise SandboxUnavailable(_remedied(str(error).removeprefix("the sandbox did not start: "))) from None
    try:
        broken = json.loads(outcome.stdout)
    except ValueError:
        said = (
            outcome.stderr.decode(errors="replace").strip().rpartition("\n")[2]
            or outcome.reason
            or f"exit code {outcome.returncode}"
        )
        raise SandboxUnavailable(f"no sandbox: its probe failed: {said}") from None
    if broken:
        raise SandboxUnavailable(f"no sandbox: this machine does not enforce {', '.join(broken)}")


def _try_out(tools: Tools) -> Outcome:
    mounts = (Mount(_PROGRAM.resolve(), _INSIDE), *python_mounts())
    setting = Setting(mounts, _LIMITS, {}, "/tmp", unix_sockets=False)
    expected = {
        "limits": {"memory": _LIMITS.memory_bytes, "processes": _LIMITS.processes, "tmp": _LIMITS.tmp_bytes},
        "files": _LIMITS.tmp_files,
        "visible": visible_paths(mounts),
        "network": os.stat("/proc/self/ns/net").st_ino,
    }
    argv = [sys.executable, "-I", "-S", _INSIDE, json.dumps(expected)]
    return run_to_end(tools, setting, argv, b"")


def _remedied(reason: str) -> str:
    if "nknown option" in reason:
        return f"no sandbox: bubblewrap is too old ({reason}); install 0.8 or newer with `{INSTALL}`"
    if any(why in reason for why in ("not permitted", "denied", "No space left")):
        return (
            f"no sandbox: the kernel forbids namespaces here ({reason}); allow them (sysctl "
            "user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0; in a container, CAP_SYS_ADMIN)"
        )
    return f"no sandbox: {reason}"
