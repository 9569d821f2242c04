"""Environment set-up as a task of its own: find the recipe under which a repository's suite runs, and prove it.

An agent (`setup_agents`) sees the repository and what its recipes so far led to, and proposes the next one. Whatever
was found is kept in `setups/PACKAGE.json` of the assets, failures too, so that no package is set up twice.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from baleen.environments.code.execution import Shell
from baleen.environments.code.grading import Cases, NoReport, passed, run_suite
from baleen.environments.code.task import RUNTIMES, Suite
from baleen.environments.code.tree import Tree, digest
from baleen.runs.files import write_json
from baleen.synthesis.code.runtimes import describe_runtime, prepare_runtime
from baleen.synthesis.code.sources import Package, SourceError

SETUPS = "setups"
MAX_ATTEMPTS = 8
SUITE_SECONDS = 120.0  # of a base suite; longer ones are not for this
RERUNS = 3
_MIN_LIMIT, _SLOWDOWN = 20.0, 5.0  # a changed suite may take this many seconds, or this many times the base
_SHOWN = 4_000  # characters of output that an agent sees and a record keeps


@dataclass(frozen=True)
class Recipe:
    """How to run a suite. requirements: packages to install for it (pytest); python_path: folders to import from."""

    runner: str
    requirements: tuple[str, ...] = ()
    python_path: tuple[str, ...] = (".",)


@dataclass(frozen=True)
class Attempt:
    """A recipe and what it led to. trouble: why there is no report, "" if there is one; output: what was said."""

    recipe: Recipe
    passing: int
    failing: int
    trouble: str
    output: str


class SetupAgent(Protocol):
    name: str

    def propose(self, tree: Tree, attempts: Sequence[Attempt]) -> Recipe | None:
        """The next recipe to try; None when there is none or the best so far is good enough."""
        ...


@dataclass(frozen=True)
class Setup:
    """A package whose suite was judged. reason: why it is of no use, "" if it is.

    seconds: the slowest of its base runs; passing and skipped: tests, the same in all of them; installed: packages
    with versions in its runtime.
    """

    package: str
    tree: str
    agent: str
    attempts: int
    recipe: Recipe
    runtime: str = ""
    installed: tuple[str, ...] = ()
    seconds: float = 0.0
    passing: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    reason: str = ""
    detail: str = ""

    @property
    def suite(self) -> Suite:
        """The suite with the time limit for changed trees."""
        limit = round(max(_MIN_LIMIT, _SLOWDOWN * self.seconds), 1)
        return Suite(self.recipe.runner, self.recipe.python_path, self.runtime, limit)

    def shell(self, assets: Path) -> Shell:
        return open_shell(assets, self.runtime, self.recipe.python_path)


def open_shell(assets: Path, runtime: str, python_path: Sequence[str]) -> Shell:
    return Shell(assets / RUNTIMES / runtime if runtime else None, python_path)


def set_up(package: Package, assets: Path, agent: SetupAgent) -> Setup:
    """The set-up of a package, from the cache or by the agent. Raises ToolFailure, ModelFailure, SourceError."""
    path = assets / SETUPS / f"{package.key}.json"
    if path.exists():
        known = _read(json.loads(path.read_text(encoding="utf-8")))
        if known.tree == digest(package.tree):
            return known
    setup = _find(package, assets, agent)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, asdict(setup))
    return setup


def _read(row: dict[str, Any]) -> Setup:
    def tuples(values: dict[str, Any]) -> dict[str, Any]:
        return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}

    return Setup(**tuples(row) | {"recipe": Recipe(**tuples(row["recipe"]))})


def _find(package: Package, assets: Path, agent: SetupAgent) -> Setup:
    attempts: list[Attempt] = []
    while len(attempts) < MAX_ATTEMPTS:
        recipe = agent.propose(package.tree, attempts)
        if recipe is None or recipe in [attempt.recipe for attempt in attempts]:
            break
        if not attempts and recipe.requirements:
            prepare_runtime(
                recipe.requirements, assets
            )  # the runner itself must be had: else it is not the package
        attempts.append(_try(package.tree, recipe, assets))
    best = max(attempts, key=lambda a: (a.passing, -a.failing, a.trouble == "time limit"), default=None)
    recipe = best.recipe if best else Recipe("")
    setup = Setup(package.key, digest(package.tree), agent.name, len(attempts), recipe)
    if best is None:
        return replace(setup, reason="no test suite found")
    detail = f"{best.trouble}\n{best.output}".strip()
    if best.trouble == "time limit":
        return replace(setup, reason="hanging suite", detail=detail)
    if not best.passing:
        return replace(setup, reason="empty suite", detail=detail)
    if best.failing > best.passing:
        return replace(setup, reason="suite mostly fails", detail=detail)
    return _confirm(setup, package.tree, assets)


def _try(tree: Tree, recipe: Recipe, assets: Path) -> Attempt:
    try:
        runtime = prepare_runtime(recipe.requirements, assets) if recipe.requirements else ""
        shell = open_shell(assets, runtime, recipe.python_path)
        cases = run_suite(shell, Suite(recipe.runner, recipe.python_path, runtime, SUITE_SECONDS), tree)
    except (NoReport, SourceError, ValueError) as error:
        trouble = error.reason if isinstance(error, NoReport) else "installation"
        return Attempt(recipe, 0, 0, trouble, str(error)[-_SHOWN:])
    said = "\n".join(dict.fromkeys(case.message for case in cases.values() if case.message))
    failing = sum(case.status == "failed" for case in cases.values())
    return Attempt(recipe, len(passed(cases)), failing, "", said[:_SHOWN])


def _confirm(setup: Setup, tree: Tree, assets: Path) -> Setup:
    """Runs that agree test by test, or the reason why not."""
    recipe = setup.recipe
    runtime = prepare_runtime(recipe.requirements, assets) if recipe.requirements else ""
    shell = open_shell(assets, runtime, recipe.python_path)
    suite = Suite(recipe.runner, recipe.python_path, runtime, SUITE_SECONDS)
    seen: list[Cases] = []
    seconds = 0.0
    for _ in range(RERUNS):
        began = time.perf_counter()
        try:
            seen.append(run_suite(shell, suite, tree))
        except NoReport as error:
            return replace(setup, reason="flaky suite", detail=str(error))
        seconds = max(seconds, time.perf_counter() - began)
    unsteady = differing(seen)
    if unsteady:
        return replace(setup, reason="flaky suite", detail=", ".join(unsteady[:20]))
    return replace(
        setup,
        runtime=runtime,
        installed=tuple(describe_runtime(assets, runtime)),
        seconds=round(seconds, 2),
        passing=tuple(sorted(passed(seen[0]))),
        skipped=tuple(sorted(name for name, case in seen[0].items() if case.status == "skipped")),
    )


def differing(runs: Sequence[Cases]) -> list[str]:
    """Names of the tests that did not come out the same in all runs, or were not in all."""
    names = {name for cases in runs for name in cases}
    return sorted(n for n in names if len({cases[n].status if n in cases else "" for cases in runs}) > 1)
