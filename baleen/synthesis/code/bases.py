"""What candidates start from: packages whose suite runs, with their trees put aside for the tasks made of them."""

import json
import os
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from baleen.environments.code.execution import Shell
from baleen.environments.code.junit import Case
from baleen.environments.code.runners import RUNNERS, Runner
from baleen.environments.code.task import PASSING, TREES
from baleen.environments.code.tree import Tree, to_bytes
from baleen.runs.files import write_json
from baleen.synthesis.code.setups import Setup, SetupAgent, set_up
from baleen.synthesis.code.sources import Package, SourceError, download, released_versions

SDISTS, VERSIONS = "sdists", "versions"


@dataclass(frozen=True)
class Base:
    """A package with a steady suite."""

    package: Package
    setup: Setup
    assets: Path

    @property
    def runner(self) -> Runner:
        return RUNNERS[self.setup.recipe.runner]

    @property
    def tree(self) -> Tree:
        return self.package.tree

    @cached_property
    def cases(self) -> dict[str, Case]:
        """The results of the base runs."""
        passed = {name: Case((), "", name, "passed") for name in self.setup.passing}
        return passed | {name: Case((), "", name, "skipped") for name in self.setup.skipped}

    @cached_property
    def shell(self) -> Shell:
        return self.setup.shell(self.assets)

    def put_aside(self) -> tuple[str, str]:
        """Names, below the assets, of the tree and of the list of passing tests."""
        passing = f"{PASSING}/{self.package.key}.json"
        if not (self.assets / passing).exists():
            _write(self.assets / passing, json.dumps(list(self.setup.passing)).encode())
        return put_tree(self.package, self.assets), passing


def put_tree(package: Package, assets: Path) -> str:
    name = f"{TREES}/{package.key}.tree"
    if not (assets / name).exists():
        _write(assets / name, to_bytes(package.tree, {"package": package.key, "licence": package.licence}))
    return name


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, also when two threads write the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=path.parent, prefix=".")
    with open(handle, "wb") as file:
        file.write(data)
        os.fchmod(file.fileno(), 0o644)
    os.replace(partial, path)


def open_base(package: Package, assets: Path, agent: SetupAgent) -> Base:
    """Set the package up. `setup.reason` says when it is of no use. Raises ToolFailure, ModelFailure."""
    return Base(package, set_up(package, assets, agent), assets)


def known_versions(name: str, assets: Path) -> list[str]:
    """Versions with a source distribution, oldest first; asked for once, so that a resumed run sees the same ones.

    Raises SourceError.
    """
    path = assets / VERSIONS / f"{name}.json"
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))["versions"]
    versions = released_versions(name)
    if not versions:
        raise SourceError(f"pip knows no source distribution of {name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"versions": versions})
    return versions


def fetch(name: str, version: str | None, assets: Path) -> Package:
    """The source distribution of a version, of the newest if none is given. Raises SourceError."""
    return download(name, version or known_versions(name, assets)[-1], assets / SDISTS)
