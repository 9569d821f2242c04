"""Candidates judged: the suite runs over the broken tree, and what passes all checks becomes a task.

Rejected are changes that no test notices, that leave no test passing (the paper's rule keeps them: a module that
cannot be imported makes every test "fail to pass"), that let a failing test pass, that give no report, that come out
differently when run again, and those whose tests the control cannot break.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baleen.agent.model import ChatModel, ModelFailure, Reply
from baleen.environments import Task
from baleen.environments.code.edits import Edit, apply_edits
from baleen.environments.code.grading import Cases, NoReport, compare, compose, passed, run_control, run_suite
from baleen.environments.code.task import CodeTask
from baleen.environments.code.tree import Tree, text_of
from baleen.environments.code.world import tools
from baleen.environments.task import split_of
from baleen.synthesis.code.answers import AnswerError, usage_of
from baleen.synthesis.code.bases import Base, fetch, open_base, put_tree
from baleen.synthesis.code.issues import (
    changelog_difference,
    label_of,
    model_issue,
    release_issue,
    scripted_issue,
)
from baleen.synthesis.code.mutant import Mutant
from baleen.synthesis.code.setups import RERUNS, SetupAgent, differing
from baleen.synthesis.code.sources import Package, SourceError
from baleen.synthesis.code.written import Request, write_bug
from baleen.synthesis.journal import Verdict
from baleen.synthesis.pipeline import Candidate


@dataclass(frozen=True)
class MutantWork:
    base: Base
    mutant: Mutant


@dataclass(frozen=True)
class WrittenWork:
    base: Base
    request: Request


@dataclass(frozen=True)
class ReleaseWork:
    name: str
    old: str
    new: str


@dataclass(frozen=True)
class FailedSetup:
    """A package that cannot be used: only its reason goes into the record."""

    reason: str
    detail: str


Work = MutantWork | WrittenWork | ReleaseWork | FailedSetup


@dataclass(frozen=True)
class _Change:
    """What a solver starts from: a package, perhaps with edits. issue: a text that came with it."""

    base: Base
    start: Package
    edits: Sequence[Edit]
    family: str
    issue: str = ""
    replies: tuple[Reply, ...] = ()


class Rejected(Exception):
    """reason: a few words that many candidates share."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class Judge:
    """Judges candidates; safe to call from many threads. model: writes bugs and issues, if there is one."""

    def __init__(
        self, assets: Path, agent: SetupAgent, model: ChatModel | None, issues_by_model: bool
    ) -> None:
        self._assets = assets
        self._agent = agent
        self._model = model
        self._issues_by_model = issues_by_model

    def __call__(self, candidate: Candidate[Work]) -> Verdict:
        """Raises ToolFailure where there is no sandbox, and what a model's client raises when its money is spent."""
        replies: list[Reply] = []
        try:
            change = self._change(candidate.work, replies)
            task, facts = self._judge(candidate.name, change, replies)
        except Rejected as error:
            return self._verdict(candidate, replies, reason=error.reason, detail=error.detail)
        except NoReport as error:
            return self._verdict(candidate, replies, reason=error.reason, detail=str(error))
        except AnswerError as error:
            replies += [error.reply] if error.reply else []
            return self._verdict(candidate, replies, reason="model's answer", detail=str(error))
        except ModelFailure as error:
            return self._verdict(candidate, replies, reason="no answer", detail=str(error))
        return self._verdict(candidate, replies, tasks=(task,), facts=facts)

    def _verdict(self, candidate: Candidate[Work], replies: Sequence[Reply], **found: Any) -> Verdict:
        return Verdict(candidate.name, candidate.group, usage=usage_of(*replies), **found)

    def _change(self, work: Work, replies: list[Reply]) -> _Change:
        if isinstance(work, MutantWork):
            return _Change(work.base, work.base.package, [work.mutant.edit], "mutant")
        if isinstance(work, WrittenWork):
            assert self._model is not None, "written bugs need a model"
            written = write_bug(self._model, work.base.tree, work.request)
            replies.append(written.reply)
            return _Change(work.base, work.base.package, [written.edit], "written", written.issue)
        if isinstance(work, ReleaseWork):
            try:
                old, new = (fetch(work.name, version, self._assets) for version in (work.old, work.new))
            except SourceError as error:
                raise Rejected("no source distribution", str(error)) from None
            base = open_base(new, self._assets, self._agent)
            if base.setup.reason:
                raise Rejected(f"new release: {base.setup.reason}", base.setup.detail)
            return _Change(base, old, [], "release")
        raise Rejected(work.reason, work.detail)

    def _judge(self, name: str, change: _Change, replies: list[Reply]) -> tuple[Task, dict[str, Any]]:
        base, suite = change.base, change.base.setup.suite
        start = apply_edits(change.start.tree, change.edits)
        broken = compose(base.tree, start, base.runner)
        if broken == base.tree:
            raise Rejected("no change in source")
        before = run_suite(base.shell, suite, broken)
        found = compare(before, base.cases)
        if not found.fail_to_pass:
            raise Rejected("no test notices")
        if not found.pass_to_pass:
            raise Rejected("no test passes")
        if found.pass_to_fail:
            raise Rejected("pass to fail", ", ".join(sorted(found.pass_to_fail)[:10]))
        failing = sorted(found.fail_to_pass)
        lying = passed(run_control(base.shell, suite, base.tree, failing))
        controlled = [test for test in failing if test not in lying]
        if not controlled:
            raise Rejected("no control", "no failing test can be broken on purpose")
        _prove(base, start, broken)
        reruns = [before, *(run_suite(base.shell, suite, broken) for _ in range(RERUNS))]
        if unsteady := differing(reruns):
            raise Rejected("flaky", ", ".join(unsteady[:10]))
        task = self._task(name, change, start, before, failing, controlled, replies)
        return task, {"fail_to_pass": len(failing), "pass_to_pass": len(found.pass_to_pass)}

    def _task(
        self,
        name: str,
        change: _Change,
        start: Tree,
        before: Cases,
        failing: list[str],
        controlled: list[str],
        replies: list[Reply],
    ) -> Task:
        base = change.base
        frame, passing = base.put_aside()
        label = label_of(before, failing) if change.family == "release" else "bug"
        skipped = sorted(
            n for n, case in before.items() if case.status == "skipped" and n in base.setup.passing
        )
        return Task(
            id="code-" + hashlib.blake2b(name.encode(), digest_size=8).hexdigest(),
            domain="code",
            family=change.family,
            difficulty=_difficulty(change, start),
            split=split_of("code", base.package.name),
            messages=_messages(self._issue(change, before, failing, replies), base),
            answer="",
            data=CodeTask(
                package=base.package.name,
                version=change.start.version,
                licence=base.package.licence,
                label=label,
                suite=base.setup.suite,
                tree=put_tree(change.start, self._assets),
                frame=frame,
                edits=tuple(change.edits),
                passing=passing,
                fail_to_pass=tuple(failing),
                controlled=tuple(controlled),
                ignored=tuple(skipped),
            ).to_data(),
        )

    def _issue(self, change: _Change, before: Cases, failing: list[str], replies: list[Reply]) -> str:
        base = change.base
        if change.issue:
            return change.issue
        if change.family == "release":
            changes = changelog_difference(change.start.tree, base.tree)
            return release_issue(base.package.name, base.package.version, changes, before, failing)
        if self._model is not None and self._issues_by_model:
            try:
                text, reply = model_issue(self._model, change.edits, before, failing)
                replies.append(reply)
                return text
            except AnswerError as error:
                replies += [error.reply] if error.reply else []
        return scripted_issue(base.package.name, before, failing)


def _prove(base: Base, start: Tree, broken: Tree) -> None:
    """Solution, untouched workspace and deleted tests lead to trees that were run already: 1, 0 and 0 by value."""
    without_tests = {path: entry for path, entry in start.items() if base.runner.is_source(path)}
    if compose(base.tree, base.tree, base.runner) != base.tree:
        raise Rejected("not verified", "the solution is not graded as the tree it is")
    if compose(base.tree, without_tests, base.runner) != broken:
        raise Rejected("not verified", "deleted tests change what is graded")


def _messages(issue: str, base: Base) -> tuple[dict[str, Any], ...]:
    system = {"role": "system", "content": "", "tools": [tool.schema for tool in tools()]}
    ending = (
        f"The repository is in /tmp/repo. Its tests run with: {base.runner.hint}\n"
        "Mend the source; changes to tests and configuration do not count."
    )
    return system, {"role": "user", "content": f"{issue}\n\n{ending}"}


def _difficulty(change: _Change, start: Tree) -> int:
    """1: one line, 2: up to twenty changed lines, 3: more."""
    lines = sum(max(len(edit.old), len(edit.new)) for edit in change.edits)
    if change.family == "release":
        lines = _changed_lines(start, change.base)
    return 1 if lines <= 1 else 2 if lines <= 20 else 3


def _changed_lines(start: Tree, base: Base) -> int:
    count = 0
    for path in filter(base.runner.is_source, {*start, *base.tree}):
        old, new = text_of(start, path) or "", text_of(base.tree, path) or ""
        if old != new:
            count += len(set(old.split("\n")) ^ set(new.split("\n")))
    return count // 2
