"""What this machine and this installation offer, and for each thing that will hurt, its remedy.

Python code can ask as `baleen doctor` does: `diagnose(Path("runs"))`.
"""

import importlib
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from baleen.environments.sandbox import Sandbox, SandboxUnavailable
from baleen.installation import install_command
from baleen.runs import machine

NEEDED_MEMORY = 4 * 2**30  # bytes that the quickstart stays below
NEEDED_DISK = 2 * 2**30
OLDEST_TORCH = (2, 11)
_EXTRAS = {
    "agents": "for models behind an address, and for the interpreter's tasks",
    "bench": "to measure transformers and llama.cpp beside the engine",
}


@dataclass(frozen=True)
class Check:
    """The result of one check.

    state: "off" is for what is optional and not there. remedy: what to do about it; empty where all is well.
    """

    name: str
    value: str
    state: Literal["ok", "off", "warn", "fail"] = "ok"
    remedy: str = ""


def diagnose(out: Path) -> list[Check]:
    """Examine this machine and this installation.

    Args:
        out: the folder that runs will be written to; its disk is tried.

    Returns:
        All checks, in the order in which a person wants to read them.
    """
    return [
        check_python(),
        *check_packages(machine.package_versions()),
        *check_extras({extra: machine.package_versions(names) for extra, names in machine.EXTRAS.items()}),
        check_torch(),
        check_gpu(),
        check_kernels(),
        *check_cores(machine.usable_cores(), os.environ, os.getloadavg()[0]),
        check_memory(machine.available_memory(), machine.total_memory()),
        check_disk(out),
        check_sandbox(),
    ]


def check_python() -> Check:
    """The interpreter. Its version was enforced on installation, so this check cannot fail."""
    return Check("python", f"{platform.python_version()} on {platform.platform()} ({sys.executable})")


def check_packages(versions: Mapping[str, str | None]) -> list[Check]:
    """One check for all installed packages, and one for each missing package."""
    there = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    missing = [name for name, version in versions.items() if version is None]
    remedy = f"install it with: {install_command()}"
    return [Check("packages", there), *(Check(name, "missing", "fail", remedy) for name in missing)]


def check_extras(extras: Mapping[str, Mapping[str, str | None]]) -> list[Check]:
    """One check for each optional set of packages, given the version of each package, None for a missing one."""
    checks = []
    for extra, versions in extras.items():
        missing = [name for name, version in versions.items() if version is None]
        value = ", ".join(f"{name} {version}" for name, version in versions.items() if version)
        if missing:
            value = f"without {', '.join(missing)}; {_EXTRAS[extra]}: {install_command(extra)}"
        checks.append(Check(f"extra {extra}", value, "off" if missing else "ok"))
    return checks


def check_torch() -> Check:
    """Import torch, which fails on a broken installation, and compare its version with the oldest that works."""
    try:
        torch = importlib.import_module("torch")
    except (ImportError, OSError) as error:
        return Check("torch", str(error).splitlines()[0], "fail", f"reinstall it with: {install_command()}")
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    value = (
        f"{torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
    )
    if version < OLDEST_TORCH:
        return Check("torch", value, "fail", f"Baleen needs torch 2.11 or newer: {install_command()}")
    return Check("torch", value)


def check_gpu() -> Check:
    """The GPU that torch sees. No command needs one."""
    try:
        cuda = importlib.import_module("torch").cuda
    except (ImportError, OSError):  # `check_torch` says why
        return Check("GPU", "unknown", "off")
    if not cuda.is_available():
        return Check("GPU", "none that this torch can use; the commands run on the CPU", "off")
    return Check("GPU", f"{cuda.get_device_name(0)}; the commands run on the CPU all the same")


def check_kernels() -> Check:
    """The C++ kernels. Compiles them if that has not been done yet, which takes about ten seconds."""
    try:
        cpu = importlib.import_module("baleen.ops.cpu")
    except (ImportError, OSError):  # no torch
        return Check("kernels", "unknown", "off")
    reason = cpu.missing()
    if not reason:
        return Check("kernels", f"compiled and loaded, for {cpu.instruction_set()}")
    remedy = "install a current g++ with OpenMP (Debian, Ubuntu: apt install g++): without the kernels plain PyTorch "
    return Check("kernels", reason, "warn", remedy + "computes, several times slower")


def check_cores(cores: int, environment: Mapping[str, str], load: float) -> list[Check]:
    """Compare the cores with the OpenMP settings in `environment` and with the 1-minute `load` of the machine."""
    name = f"{cores} × {machine.cpu_name() or 'unknown processor'}"
    checks = [Check("cores", name)]
    wanted = environment.get("OMP_NUM_THREADS", "")
    if wanted.isdigit() and int(wanted) > cores:
        remedy = f"set OMP_NUM_THREADS={cores}: more threads than cores wait for each other"
        checks.append(Check("OMP_NUM_THREADS", wanted, "warn", remedy))
    threads = int(wanted) if wanted.isdigit() else cores
    spins = environment.get("OMP_WAIT_POLICY", "").lower() != "passive"
    if threads > 1 and spins and load > cores / 2:
        remedy = (
            "OpenMP threads that wait burn the cores other programs use: set OMP_WAIT_POLICY=passive, "
            "or run with one thread (--threads 1)"
        )
        checks.append(Check("load", f"{load:.1f} on {cores} cores", "warn", remedy))
    else:
        checks.append(Check("load", f"{load:.1f} on {cores} cores"))
    return checks


def check_memory(available: int | None, total: int | None) -> Check:
    """Compare memory, in bytes, with what the quickstart needs."""
    if available is None or total is None:
        return Check("memory", "unknown")
    free = min(available, total)
    value = f"{free / 2**30:.1f} GiB free of {total / 2**30:.1f} GiB"
    if free < NEEDED_MEMORY:
        return Check("memory", value, "warn", "close other programs: the quickstart needs up to 4 GiB")
    return Check("memory", value)


def check_disk(out: Path) -> Check:
    """Whether a folder can be created and written where runs go, and the space left there."""
    value = f"{machine.free_disk(out) / 2**30:.1f} GiB free for {out}"
    there = out.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    # Permissions tell root nothing, and nobody whether the disk is full or mounted read-only: so write a file.
    try:
        with tempfile.TemporaryDirectory(prefix=".baleen-", dir=there) as folder:
            Path(folder, "file").write_bytes(bytes(4096))
    except OSError as error:
        value = f"{there} cannot be written: {error.strerror or error}"
        return Check("disk", value, "fail", "choose another folder with --out")
    if machine.free_disk(out) < NEEDED_DISK:
        return Check("disk", value, "warn", "free 2 GiB, or choose a folder on another disk with --out")
    return Check("disk", value)


def check_sandbox() -> Check:
    """Try out the sandbox, which only agents that run programs need."""
    try:
        Sandbox()
    except SandboxUnavailable as error:
        reason, _, remedy = str(error).removeprefix("no sandbox: ").partition("; ")
        remedy = remedy or "run on Linux as an ordinary user, or as a root that may change its uid"
        return Check("sandbox", reason, "warn", f"{remedy} (needed for agents that write or run programs)")
    return Check("sandbox", "bubblewrap; every limit was tried and holds")
