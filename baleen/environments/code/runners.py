"""Test runners: how the tests of a repository are run, which of its files are source, and how to break its tests.

All of them write JUnit reports. To support a language, a runner needs a command, a rule for its files, and a control
run, in which tests that passed must fail (see `grading`).
"""

import ast
import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, Protocol

from baleen.environments.code.junit import Case
from baleen.environments.code.launcher import REPORT
from baleen.environments.code.tree import Tree, text_of, with_text

_TEST_FOLDERS = frozenset({"test", "tests", "testing", "__tests__", "spec", "specs"})
_OTHER_FOLDERS = frozenset(
    {"doc", "docs", "example", "examples", "benchmark", "benchmarks", "tools", "scripts"}
)
_CONTROL = ".control"  # folder of the files that a control run adds to a tree


class Runner(Protocol):
    """A test runner.

    Attributes:
        name: as in `Suite.runner`.
        hint: the command that a solver would type.
        report: where its report is written, as in `Shell.run`.
        failing_codes: exit codes that mean that some tests failed.
    """

    @property
    def name(self) -> str: ...
    @property
    def hint(self) -> str: ...
    @property
    def report(self) -> Literal["pipe", "file"]: ...
    @property
    def failing_codes(self) -> tuple[int, ...]: ...

    def command(self, python: str, files: Sequence[str]) -> list[str]:
        """The command for all tests, or for those in some files if there are any and the runner can choose."""
        ...

    def control_command(self, python: str, files: Sequence[str]) -> list[str]:
        """The command for a control run."""
        ...

    def is_source(self, path: str) -> bool:
        """Whether a solver may change the file: whether it is code, but neither a test nor configuration."""
        ...

    def name_of(self, case: Case) -> str:
        """The name of a test of the report."""
        ...

    def files_of(self, tree: Tree, names: Collection[str]) -> list[str]:
        """The test files of the tree that may contain the tests of these names."""
        ...

    def stable_command(self, files: Sequence[str]) -> str:
        """A shell command that runs the tests in some files, or all tests if the runner cannot choose.

        It prints no times and no addresses, so that equal results give equal output.
        """
        ...

    def control(self, tree: Tree, names: Collection[str]) -> tuple[Tree, list[str]]:
        """The tree with the tests of these names broken, so that they must fail, and the files to run for them."""
        ...


def _is_code(path: str, suffixes: Collection[str], test_file: str) -> bool:
    pure = PurePosixPath(path)
    folders = set(pure.parts[:-1])
    if pure.suffix not in suffixes or re.search(test_file, pure.name):
        return False
    return not folders & (_TEST_FOLDERS | _OTHER_FOLDERS) and not any(f.startswith(".") for f in folders)


@dataclass(frozen=True)
class Pytest:
    name: str = "pytest"
    hint: str = "python3 -m pytest -q -o addopts= -p no:cacheprovider"
    report: Literal["pipe", "file"] = "pipe"
    failing_codes: tuple[int, ...] = (1,)

    def command(self, python: str, files: Sequence[str]) -> list[str]:
        # The repository's addopts may ask for plugins that are not installed. One module that cannot be imported must
        # not stop the others, or a release that adds such a module would seem to fix every test.
        options = ["-o", "addopts=", "-o", "junit_family=xunit1", "-p", "no:cacheprovider"]
        # One line per failure: with tracebacks a run with many failures takes six times as long.
        options += ["--continue-on-collection-errors", "--color=no", "--tb=line", "-q"]
        return [python, "-m", "pytest", *options, f"--junitxml={REPORT}", *files]

    def control_command(self, python: str, files: Sequence[str]) -> list[str]:
        return self.command(python, files)

    def is_source(self, path: str) -> bool:
        special = r"^(test_.*|.*_test|tests?|conftest|setup|noxfile|sitecustomize|usercustomize)\.py$"
        return _is_code(path, (".py",), special)

    def name_of(self, case: Case) -> str:
        return f"{case.classname}::{case.name}"

    def control(self, tree: Tree, names: Collection[str]) -> tuple[Tree, list[str]]:
        functions = {name.rpartition("::")[2].partition("[")[0] for name in names if "::" in name}
        for path in [path for path in tree if path.endswith(".py") and not self.is_source(path)]:
            text = text_of(tree, path)
            broken = _broken(text, functions) if text is not None else None
            if broken is not None:
                tree = with_text(tree, path, broken)
        return tree, self.files_of(tree, names)

    def files_of(self, tree: Tree, names: Collection[str]) -> list[str]:
        files = {file for name in names if (file := _module_file(tree, name.partition("::")[0]))}
        return sorted(files)

    def stable_command(self, files: Sequence[str]) -> str:
        # With -qq pytest does not print how long it took.
        command = f"{self.hint} -qq --tb=line --disable-warnings --color=no {shlex.join(files)}".rstrip()
        return f"set -o pipefail; {command} 2>&1 | sed -E 's/0x[0-9a-f]{{6,}}/0x.../g' | tail -n 40"


def _module_file(tree: Tree, classname: str) -> str | None:
    """tests.test_a.TestB -> tests/test_a.py"""
    parts = classname.split(".")
    paths = ("/".join(parts[:n]) + ".py" for n in range(len(parts), 0, -1))
    return next((path for path in paths if path in tree), None)


def _broken(text: str, functions: Collection[str]) -> str | None:
    """The module with a `raise` at the end of these functions, however they return; None if it has none of them."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    found = False
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in functions:
            failing = ast.parse("raise AssertionError('control')").body
            node.body = [ast.Try(body=node.body, handlers=[], orelse=[], finalbody=failing)]
            found = True
    return ast.unparse(ast.fix_missing_locations(module)) if found else None


@dataclass(frozen=True)
class Node:
    """The test runner that comes with Node (20 or newer)."""

    name: str = "node"
    hint: str = "node --test"
    report: Literal["pipe", "file"] = "pipe"
    failing_codes: tuple[int, ...] = (1,)

    def command(self, python: str, files: Sequence[str]) -> list[str]:
        reporter = ["--test-reporter=junit", f"--test-reporter-destination={REPORT}"]
        return ["node", "--test", *reporter, *files]

    def control_command(self, python: str, files: Sequence[str]) -> list[str]:
        return ["env", f"NODE_OPTIONS=--require=./{_CONTROL}/assert.cjs", *self.command(python, files)]

    def is_source(self, path: str) -> bool:
        special = r"(^test[-.].*|[-._]test|\.spec|\.config|^test)\.[a-z]+$"
        return _is_code(path, (".js", ".mjs", ".cjs"), special)

    def name_of(self, case: Case) -> str:
        return " > ".join((*case.suites, case.name))

    def control(self, tree: Tree, names: Collection[str]) -> tuple[Tree, list[str]]:
        return with_text(tree, f"{_CONTROL}/assert.cjs", _resource("assert.cjs")), []

    def files_of(self, tree: Tree, names: Collection[str]) -> list[str]:
        titles = {name.split(" > ")[-1] for name in names}
        return _mentioning(self, tree, (".js", ".mjs", ".cjs"), titles)

    def stable_command(self, files: Sequence[str]) -> str:
        command = f"node --test --test-reporter=tap {shlex.join(files)}".rstrip()
        return f"set -o pipefail; {command} 2>&1 | grep -E '^ *(not )?ok '"


@dataclass(frozen=True)
class CTest:
    """C and C++, built by CMake and tested by CTest: the tests are programs, whose exit codes decide."""

    name: str = "ctest"
    hint: str = "cmake -S . -B /tmp/build && cmake --build /tmp/build && ctest --test-dir /tmp/build"
    report: Literal["pipe", "file"] = "file"
    failing_codes: tuple[int, ...] = (8,)

    def command(self, python: str, files: Sequence[str]) -> list[str]:
        return self._script("watch")

    def control_command(self, python: str, files: Sequence[str]) -> list[str]:
        return self._script("control")

    def _script(self, mode: str) -> list[str]:
        # The tests must not learn the place of the report: CTest gets it as an argument, which they cannot see.
        build = (
            "set -e; mkdir -p /tmp/build /tmp/guard; "
            'printf "%s" "$2" > /tmp/guard/guard.c; cc -shared -fPIC -o /tmp/guard/guard.so /tmp/guard/guard.c -ldl; '
            "cmake -S . -B /tmp/build -DCMAKE_BUILD_TYPE=Debug > /tmp/configure.log 2>&1 || "
            "{ tail -n 40 /tmp/configure.log; exit 70; }; "
            "cmake --build /tmp/build > /tmp/build.log 2>&1 || { tail -n 60 /tmp/build.log; exit 71; }; "
            'cd /tmp/build; exec env LD_PRELOAD=/tmp/guard/guard.so GUARD="$3" '
            'ctest --output-on-failure --no-tests=error --output-junit "$1"'
        )
        return ["sh", "-c", build, "sh", REPORT, _resource("guard.c"), mode]

    def is_source(self, path: str) -> bool:
        suffixes = (".c", ".cc", ".cpp", ".cxx", ".h", ".hh", ".hpp", ".hxx", ".inl")
        return _is_code(path, suffixes, r"(^test[_.].*|_test|^tests?|_tests)\.[a-z]+$")

    def name_of(self, case: Case) -> str:
        return case.name

    def control(self, tree: Tree, names: Collection[str]) -> tuple[Tree, list[str]]:
        return tree, []

    def files_of(self, tree: Tree, names: Collection[str]) -> list[str]:
        return _mentioning(self, tree, ("CMakeLists.txt",), names)

    def stable_command(self, files: Sequence[str]) -> str:
        build = (
            "(cmake -S . -B /tmp/build && cmake --build /tmp/build) > /tmp/log 2>&1 || grep error /tmp/log"
        )
        return f"{build}; set -o pipefail; ctest --test-dir /tmp/build 2>&1 | sed -nE 's/(Passed|Failed) .*/\\1/p'"


def _mentioning(runner: Runner, tree: Tree, endings: tuple[str, ...], words: Collection[str]) -> list[str]:
    """Files with these endings, other than source files, that contain one of the words."""
    files = [path for path in sorted(tree) if path.endswith(endings) and not runner.is_source(path)]
    return [path for path in files if any(word in (text_of(tree, path) or "") for word in words)]


RUNNERS: dict[str, Runner] = {runner.name: runner for runner in (Pytest(), Node(), CTest())}


def _resource(name: str) -> str:
    return Path(__file__).with_name("control").joinpath(name).read_text(encoding="utf-8")
