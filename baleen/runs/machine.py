"""What this machine is and what it has left: for a run's `environment.json`, the progress view and `doctor`.

Memory and disk are in bytes. What a system does not tell is None, never a guess.
"""

import importlib.metadata
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# The dependencies of pyproject.toml, and its extras that users install.
PACKAGES = (
    *("torch", "numpy", "safetensors", "tokenizers", "pydantic", "tyro", "rich", "tomli-w", "fastapi"),
    *("uvicorn", "h11", "prometheus-client", "jinja2", "jsonschema", "packaging", "matplotlib"),
)
EXTRAS = {
    "agents": ("openai", "jupyter_client", "ipykernel"),
    "bench": ("transformers", "xllamacpp", "gguf"),
}


def cpu_name() -> str | None:
    """Name of the processor as the system spells it."""
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or None


def usable_cores() -> int:
    """Cores that this process may run on, given its affinity and a container's CPU quota (rounded up)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").strip().partition(" ")
    if quota.isdigit() and period.isdigit():
        cores = min(cores, -(-int(quota) // int(period)))
    return max(1, cores)


def total_memory() -> int | None:
    """Memory of the machine, or the container's limit if that is lower."""
    try:
        installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None
    limit = _read("/sys/fs/cgroup/memory.max").strip()
    return min(installed, int(limit)) if limit.isdigit() else installed


def available_memory() -> int | None:
    """Memory that is available without swapping."""
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def resident_memory() -> int:
    """Memory that this process holds now; its peak so far if the system tells no current value."""
    pages = _read("/proc/self/statm").split()
    if len(pages) > 1:
        return int(pages[1]) * os.sysconf("SC_PAGE_SIZE")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def free_disk(path: Path) -> int:
    """Free bytes on the disk where `path` is or would be created."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


def package_versions(names: Sequence[str] = PACKAGES) -> dict[str, str | None]:
    """Installed version of each package, by default those that Baleen needs; None for a missing one."""
    versions: dict[str, str | None] = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def git_commit() -> str | None:
    """Commit of the checkout that this package runs from, with `+changes` if files differ from it."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return commit + ("+changes" if _git(folder, "status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def describe(seed: int, threads: int) -> dict[str, Any]:
    """What a run keeps so that it can be repeated: system, processor, versions, commit, seed, threads."""
    from baleen import __version__

    return {
        "baleen": __version__,
        "git_commit": git_commit(),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "cpu": cpu_name(),
        "cores": usable_cores(),
        "memory_bytes": total_memory(),
        "packages": package_versions(),
        "seed": seed,
        "threads": threads,
    }


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
