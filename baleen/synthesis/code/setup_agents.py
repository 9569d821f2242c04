"""Agents that set up a repository's suite: one that follows a script, one that asks a chat model.

Both only name packages and folders: what they propose is checked before anything is installed, and packages come as
wheels, so that no proposal runs code on this machine.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from baleen.agent.model import ChatModel
from baleen.environments.code.launcher import is_inside
from baleen.environments.code.runners import RUNNERS
from baleen.environments.code.tree import Tree, text_of
from baleen.synthesis.code.answers import AnswerError, ask
from baleen.synthesis.code.runtimes import REQUIREMENT
from baleen.synthesis.code.setups import Attempt, Recipe

_NEWEST = "pytest"
# Last releases of earlier lines: a suite of their time may use what later ones removed.
_OLDER = ("pytest==8.3.5", "pytest==7.4.4", "pytest==6.2.5")  # of 2025, 2023, 2021
_DISTRIBUTIONS = {  # of modules that are not called as their distribution
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "Crypto": "pycryptodome",
    "dateutil": "python-dateutil",
    "jwt": "PyJWT",
    "PIL": "pillow",
    "pkg_resources": "setuptools<81",
    "sklearn": "scikit-learn",
    "unidecode": "Unidecode",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
_FIXTURES = {
    "benchmark": "pytest-benchmark",
    "httpserver": "pytest-httpserver",
    "mocker": "pytest-mock",
    "subtests": "pytest-subtests",
}
_MODEL_FILES = ("pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "requirements-dev.txt", "package.json")


class ScriptedAgent:
    """Reads what went wrong as a person would: a module that is missing, a fixture, a runner that is too new."""

    name = "scripted"

    def propose(self, tree: Tree, attempts: Sequence[Attempt]) -> Recipe | None:
        if not attempts:
            return first_recipe(tree)
        last = attempts[-1]
        if last.recipe.runner != "pytest" or last.trouble in ("time limit", "installation"):
            return None
        wanted = list(last.recipe.requirements)
        for module in re.findall(r"No module named '(\w+)", last.output):
            if not _is_own(tree, module):
                wanted.append(_DISTRIBUTIONS.get(module, module))
        fixtures = re.findall(r"fixture '(\w+)' not found", last.output)
        wanted += [_FIXTURES[name] for name in fixtures if name in _FIXTURES]
        if "async def functions are not natively supported" in last.output:
            wanted.append("pytest-asyncio")
        wanted = list(dict.fromkeys(wanted))
        if len(wanted) == len(last.recipe.requirements) and not last.passing:
            wanted = _with_older_runner(wanted)
        return Recipe("pytest", tuple(wanted), last.recipe.python_path)


def _with_older_runner(wanted: list[str]) -> list[str]:
    """The next older line of pytest; the same list when there is none left."""
    lines = [_NEWEST, *_OLDER]
    at = next(n for n, line in enumerate(lines) if line in wanted)
    return [lines[min(at + 1, len(lines) - 1)] if name == lines[at] else name for name in wanted]


def first_recipe(tree: Tree) -> Recipe | None:
    """What the files suggest: CTest for a CMake project with tests, Node for a package.json, else pytest."""
    cmake = [text_of(tree, path) or "" for path in tree if path.endswith("CMakeLists.txt")]
    if "CMakeLists.txt" in tree and any(
        re.search(r"\badd_test\s*\(|_discover_tests\s*\(", text) for text in cmake
    ):
        return Recipe("ctest")
    if "package.json" in tree and any(re.search(r"\.[cm]?js$", path) for path in tree):
        return Recipe("node")
    python = [path for path in tree if re.search(r"(^|/)(test_[^/]*|[^/]*_test|tests?)\.py$", path)]
    if not python:
        return None
    folders = [f for f in ("src", "lib") if any(re.match(rf"{f}/[^/]+(/__init__)?\.py$", p) for p in tree)]
    return Recipe("pytest", (_NEWEST,), (*folders, "."))


def _is_own(tree: Tree, module: str) -> bool:
    return any(re.search(rf"(^|/){re.escape(module)}(\.py|/)", path) for path in tree)


class ModelAgent:
    """Asks a chat model for the recipe. Raises ModelFailure."""

    def __init__(self, model: ChatModel) -> None:
        self.name = model.name
        self._model = model

    def propose(self, tree: Tree, attempts: Sequence[Attempt]) -> Recipe | None:
        if attempts and not attempts[-1].failing and attempts[-1].passing:
            return None
        try:
            answer, _ = ask(self._model, _PROMPT, _describe(tree, attempts))
            return _recipe(answer)
        except AnswerError:
            return None


_PROMPT = """You set up a repository so that its own test suite runs, in a sandbox without network.
Answer with one JSON object and nothing else:
{"runner": "pytest" | "node" | "ctest", "requirements": [...], "python_path": [...]}
requirements: for pytest only: names of packages of the Python package index, "pytest" among them, perhaps with a
version ("pytest==7.4.4"). python_path: folders of the repository to import from, such as ".", "src".
The repository itself is neither built nor installed. You are told what your proposals led to."""


def _describe(tree: Tree, attempts: Sequence[Attempt]) -> str:
    parts = ["Files:", *sorted(tree)[:300]]
    for path in _MODEL_FILES:
        text = text_of(tree, path)
        if text is not None:
            parts += [f"\n--- {path}", text[:3_000]]
    for attempt in attempts:
        parts.append(f"\nTried: {json.dumps({**vars(attempt.recipe)})}")
        parts.append(f"{attempt.passing} tests passed, {attempt.failing} failed. {attempt.trouble}")
        parts.append(attempt.output[-2_000:])
    return "\n".join(parts)


def _recipe(answer: Mapping[str, Any]) -> Recipe:
    runner = answer.get("runner")
    requirements, path = answer.get("requirements", []), answer.get("python_path", ["."])
    if runner not in RUNNERS:
        raise AnswerError(f"runner is {runner!r}")
    if not isinstance(requirements, list) or len(requirements) > 30:
        raise AnswerError("requirements is not a list of at most 30")
    if not all(isinstance(name, str) and REQUIREMENT.fullmatch(name) for name in requirements):
        raise AnswerError("requirements names something else than packages")
    if not isinstance(path, list) or not all(isinstance(f, str) and (f == "." or is_inside(f)) for f in path):
        raise AnswerError("python_path leaves the repository")
    return Recipe(str(runner), tuple(requirements) if runner == "pytest" else (), tuple(path))
