"""The paper's rule for code tasks (report, section 3.2.3): failing tests pass, and no passing test fails.

The tests run the solver's code in their own process, so their report alone proves little. What stands against forging:

- The tree that is tested is the task's own (`compose`): of the solver's workspace only source files come in, so
  deleted or edited tests, conftest, configuration, plugins and modules that shadow others never take part.
- The report leaves the sandbox by a pipe whose other end the tests cannot reach (`launcher`); it must be one whole
  document, and the runner's exit code must agree with it.
- A control: after all has passed, the same source meets the same tests broken on purpose. What still passes then
  was not judged by its tests.

A solver that tells the control from the real run, or that writes code which answers tests instead of solving them,
is beyond this: docs/code_tasks.md says what remains.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from baleen.environments.code.execution import Run, Shell
from baleen.environments.code.junit import Case, ReportError, read_junit, worst
from baleen.environments.code.runners import RUNNERS, Runner
from baleen.environments.code.tree import Tree

_SHOWN = 2_000  # characters of a run's output that go into a reason
_MAX_SOURCE_BYTES = 4 << 20

Cases = Mapping[str, Case]


@dataclass(frozen=True)
class Suite:
    """How a repository's tests are run. seconds: time limit of one run; python_path: folders to import from."""

    runner: str
    python_path: tuple[str, ...] = (".",)
    runtime: str = ""
    seconds: float = 60.0

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The suite of a task's data. Raises KeyError, TypeError, ValueError."""
        path = tuple(map(str, row["python_path"]))
        return cls(str(row["runner"]), path, str(row["runtime"]), float(row["seconds"]))


class NoReport(RuntimeError):
    """A run of a suite that tells nothing. `reason`: a few words; the text adds the end of the output."""

    def __init__(self, reason: str, output: str = "") -> None:
        super().__init__(f"{reason}: {output[-_SHOWN:].strip()}" if output.strip() else reason)
        self.reason = reason


def run_suite(shell: Shell, suite: Suite, tree: Tree, files: Sequence[str] = ()) -> Cases:
    """Results by test name. Raises NoReport, ToolFailure."""
    runner = RUNNERS[suite.runner]
    return _results(
        runner,
        shell.run(tree, runner.command(shell.python, files), suite.seconds, report=runner.report),
    )


def run_control(shell: Shell, suite: Suite, tree: Tree, names: Collection[str]) -> Cases:
    """Results of a run in which the tests of these names must fail. Raises NoReport, ToolFailure."""
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
    # The second signal: a report of successes from a process that says otherwise, or the reverse, is none.
    failed = any(case.status == "failed" for case in results.values())
    if run.code not in (runner.failing_codes if failed else (0,)):
        raise NoReport("exit code and report disagree", f"exit code {run.code}\n{run.output}")
    return results


def passed(cases: Cases) -> set[str]:
    return {name for name, case in cases.items() if case.status == "passed"}


@dataclass(frozen=True)
class Change:
    """What happens to the tests between a broken and a mended tree."""

    fail_to_pass: frozenset[str]
    pass_to_pass: frozenset[str]
    pass_to_fail: frozenset[str]


def compare(broken: Cases, mended: Cases) -> Change:
    """A test that is missing (its module could not be imported) has failed; a skipped one tells nothing."""
    before, after = passed(broken), passed(mended)
    skipped = {n for cases in (broken, mended) for n, case in cases.items() if case.status == "skipped"}
    return Change(
        fail_to_pass=frozenset(after - before - skipped),
        pass_to_pass=frozenset(before & after),
        pass_to_fail=frozenset(before - after - skipped),
    )


def compose(frame: Tree, workspace: Tree, runner: Runner) -> Tree:
    """The tree to grade: all of `frame` but its source files, and the source files of `workspace`.

    New source files count only beside or below the frame's packages: a new module at the top could take the place of
    another one on the import path.
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
    """The outermost folder of a source file that is a package, with a slash: `src/` and the like are not."""
    parts = path.split("/")[:-1]
    layers = 2 if parts[:1] in (["src"], ["lib"], ["source"]) else 1
    return "/".join(parts[:layers]) + "/" if len(parts) >= layers else ""


@dataclass(frozen=True)
class Grade:
    """score: 1.0 or 0.0; reason: why not 1.0, for a reader."""

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
    """Grade a solver's workspace. controlled: the tests that the control is known to break. Raises ToolFailure."""
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
        lying = passed(run_control(shell, suite, tree, controlled)) & set(controlled)
    except NoReport as error:
        return Grade(0.0, f"control: {error}")
    if lying:
        return Grade(0.0, f"control: {len(lying)} tests pass that must fail: {', '.join(sorted(lying)[:5])}")
    return Grade(1.0)
