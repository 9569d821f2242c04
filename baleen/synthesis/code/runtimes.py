"""Runtimes: folders of Python packages that suites import, read-only in the sandbox.

Installed from wheels only, so that nothing of theirs runs on this machine; each is named by what was asked for and
keeps a list of what that came to.
"""

import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from baleen.environments.code.task import RUNTIMES
from baleen.runs.files import write_json
from baleen.synthesis.code.sources import run_pip

# A name, perhaps a version: no URL, no path, no option.
REQUIREMENT = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9,._-]+\])?((==|<=|>=|<|>|~=)[A-Za-z0-9.*+!_-]+)?"
)


def runtime_key(requirements: Sequence[str]) -> str:
    asked = "\n".join([f"python3.{sys.version_info.minor}", *sorted(requirements)])
    return hashlib.blake2b(asked.encode(), digest_size=8).hexdigest()


def prepare_runtime(requirements: Sequence[str], assets: Path) -> str:
    """Install what is not installed yet. Returns the runtime's key. Raises SourceError, ValueError for a bad name."""
    for requirement in requirements:
        if not REQUIREMENT.fullmatch(requirement):
            raise ValueError(f"{requirement!r} is not a package name with a version")
    key = runtime_key(requirements)
    folder = assets / RUNTIMES / key
    if folder.exists():
        return key
    partial = folder.with_name(f".{key}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    run_pip("install", "--quiet", "--only-binary", ":all:", "--target", str(partial), *requirements)
    shutil.rmtree(partial / "bin", ignore_errors=True)  # scripts with this machine's interpreter in them
    os.replace(partial, folder)
    write_json(
        folder.with_name(f"{key}.json"),
        {
            "python": f"3.{sys.version_info.minor}",
            "requirements": sorted(requirements),
            "installed": installed(folder),
        },
    )
    return key


def installed(folder: Path) -> list[str]:
    """name==version of the packages in a runtime."""
    names = (path.name.removesuffix(".dist-info").rpartition("-") for path in folder.glob("*.dist-info"))
    return sorted(f"{name}=={version}" for name, _, version in names)


def describe_runtime(assets: Path, key: str) -> list[str]:
    path = assets / RUNTIMES / f"{key}.json"
    return json.loads(path.read_text(encoding="utf-8"))["installed"] if path.exists() else []
