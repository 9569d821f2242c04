"""The rule for code tasks (report, section 3.2.3): the failing tests pass, and no passing test fails.

The tests run the solver's code in their own process, so their report alone proves little. Three measures make it hard
to forge:

- The tested tree is the task's own (`compose`). Only source files are taken from the solver's workspace, so deleted or
  edited tests, conftest files, configuration, plugins, and modules that shadow others play no role.
- The report leaves the sandbox through a pipe whose other end the tests cannot reach (`launcher`). It must be one
  complete document, and the runner's exit code must agree with it.
- After all tests have passed, a control run tests the same source with tests that are broken on purpose. A test that
  still passes did not test anything.

This does not stop a solver whose code recognizes the control run, or answers the known tests instead of solving the
problem; docs/code_tasks.md says what remains.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from baleen.environments.code.execution import Run, Shell
from baleen.environments.code.junit import Case, ReportError, read_junit, worst
from baleen.environments.code.runners import RUNNERS, Runner
from baleen.environments.code.task import Suite
from baleen.environments.code.tree import Tree

_SHOWN = 2_000  # characters of the output that a reason quotes
_MAX_SOURCE_BYTES = 4 << 20

Cases = Mapping[str, Case]


class NoReport(RuntimeError):
    """A run of the tests gave no usable report. `reason` is a few words; the message adds the end of the output."""

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(f"{reason}: {output[-_SHOWN:].strip()}" if output.strip() else reason)
        self.reason = reason


def run_suite(shell: Shell, suite: Suite, tree: Tree, files: Sequence[str] = ()) -> Cases:
    """Run all tests, or those in some files. Returns the results by test name. Raises NoReport, ToolFailure."""
    runner = RUNNERS[suite.runner]
    return _results(
        runner,
        shell.run(tree, runner.command(shell.python, files), suite.seconds, report=runner.report),
    )


def run_control(shell: Shell, suite: Suite, tree: Tree, names: Collection[str]) -> Cases:
    """Run the tests of these names, broken so that they must fail. Raises NoReport, ToolFailure."""
    runner = RUNNERS[suite.runner]
    broken, files = runner.control(tree, names)
    command = runner.control_command(shell.python, files)
    return _results(runner, shell.run(broken, command, suite.seconds, report=runner.report))


def _results(runner: Runner, run: Run) -> Cases:
    if run.died:
        raise NoReport("sandbox ended", run.output)
    if run.code is None:
        raise NoReport("time limit", run.output)
    if not run.report:
        raise NoReport("no report", run.output)
    try:
        cases = read_junit(run.report)
    except ReportError as error:
        raise NoReport("unreadable report", str(error)) from None
    results: dict[str, Case] = {}
    for case in cases:
        name = runner.name_of(case)
        results[name] = worst(results, name, case)
    # A report that contradicts the exit code is not to be trusted.
    failed = any(case.status == "failed" for case in results.values())
    if run.code not in (runner.failing_codes if failed else (0,)):
        raise NoReport("exit code and report disagree", f"exit code {run.code}\n{run.output}")
    return results


def passed(cases: Cases) -> set[str]:
    return {name for name, case in cases.items() if case.status == "passed"}


@dataclass(frozen=True)
class Change:
    """How the results of the tests change from a broken to a fixed tree."""

    fail_to_pass: frozenset[str]
    pass_to_pass: frozenset[str]
    pass_to_fail: frozenset[str]


def compare(broken: Cases, fixed: Cases) -> Change:
    """Compare two runs. A missing test (its module cannot be imported) counts as failed; skipped tests do not count."""
    before, after = passed(broken), passed(fixed)
    skipped = {n for cases in (broken, fixed) for n, case in cases.items() if case.status == "skipped"}
    return Change(
        fail_to_pass=frozenset(after - before - skipped),
        pass_to_pass=frozenset(before & after),
        pass_to_fail=frozenset(before - after - skipped),
    )


def compose(frame: Tree, workspace: Tree, runner: Runner) -> Tree:
    """The tree to grade: the source files of `workspace`, and everything but the source files of `frame`.

    New source files are taken only next to or below the packages of the frame, because a new module at the top could
    shadow another one on the import path.
    """
    source = {path for path in frame if runner.is_source(path)}
    tree = {path: entry for path, entry in frame.items() if path not in source}
    packages = {prefix for path in source if (prefix := _package(path))}
    total = 0
    for path in sorted(workspace):
        mode, content = workspace[path]
        known = path in source or any(path.startswith(prefix) for prefix in packages)
        if mode == "120000" or not known or not runner.is_source(path):
            continue
        total += len(content)
        if total <= _MAX_SOURCE_BYTES:
            tree[path] = (mode, content)
    return tree


def _package(path: str) -> str:
    """The outermost package of a source file, with a slash at the end; `src/` and the like are not packages."""
    parts = path.split("/")[:-1]
    layers = 2 if parts[:1] in (["src"], ["lib"], ["source"]) else 1
    return "/".join(parts[:layers]) + "/" if len(parts) >= layers else ""


@dataclass(frozen=True)
class Grade:
    """A score of 1.0 or 0.0, with a human-readable reason if it is not 1.0."""

    score: float
    reason: str = ""


def grade(
    shell: Shell,
    suite: Suite,
    frame: Tree,
    workspace: Tree,
    fail_to_pass: Collection[str],
    pass_to_pass: Collection[str],
    controlled: Collection[str],
) -> Grade:
    """Grade a solver's workspace.

    Args:
        shell: runs the tests.
        suite: how they are run.
        frame: the tree that the tests are taken from.
        workspace: the tree that the source files are taken from.
        fail_to_pass: names of the tests that must pass now.
        pass_to_pass: names of the tests that must still pass.
        controlled: names of the tests that the control run is known to break.

    Raises:
        ToolFailure: the sandbox could not run.
    """
    tree = compose(frame, workspace, RUNNERS[suite.runner])
    try:
        good = passed(run_suite(shell, suite, tree))
    except NoReport as error:
        return Grade(0.0, str(error))
    for wanted, what in ((fail_to_pass, "still fail"), (pass_to_pass, "fail now")):
        missing = sorted(set(wanted) - good)
        if missing:
            return Grade(0.0, f"{len(missing)} of {len(wanted)} tests {what}: {', '.join(missing[:5])}")
    try:
        unbroken = passed(run_control(shell, suite, tree, controlled)) & set(controlled)
    except NoReport as error:
        return Grade(0.0, f"control: {error}")
    if unbroken:
        shown = ", ".join(sorted(unbroken)[:5])
        return Grade(0.0, f"control: {len(unbroken)} tests pass that must fail: {shown}")
    return Grade(1.0)
