"""The text a solver gets: what is wrong, told by behaviour and never by the place of the fault.

Of a release: what its changelog adds. Of other bugs: the tests that fail and what they say, or what a model makes of
that; a model's text that gives the fault away is not taken.
"""

import difflib
import json
import re
from collections.abc import Sequence
from typing import Any

from baleen.agent.model import ChatModel, Reply
from baleen.environments.code.edits import Edit
from baleen.environments.code.grading import Cases
from baleen.environments.code.tree import Tree, text_of
from baleen.synthesis.code.answers import AnswerError, ask

_SHOWN_TESTS = 6
_MAX_CHARACTERS = 4_000
_CHANGELOG = re.compile(r"^(docs?/)?(source/)?(change(s|log)|history|news|releases?)(\.(md|rst|txt))?$", re.I)
_ADDRESS = re.compile(r"\b0x[0-9a-f]{4,}\b")  # differs from run to run
_MISSING_NAME = re.compile(
    r"^(\w+\.)*(ImportError|ModuleNotFoundError|AttributeError|NameError|collection failure)\b"
    r"|unexpected keyword argument|got an unexpected|takes \d+ positional argument"
)


def scripted_issue(name: str, cases: Cases, failing: Sequence[str]) -> str:
    """Names the failing tests and what they say."""
    count = "one test" if len(failing) == 1 else f"{len(failing)} tests"
    opening = f"{name} is broken: {count} of its suite that passed before now fail."
    return f"{opening}\n\n{_failures(cases, failing)}"


def _failures(cases: Cases, failing: Sequence[str]) -> str:
    lines = []
    for test in failing[:_SHOWN_TESTS]:
        case = cases.get(test)
        said = _ADDRESS.sub("0x...", " ".join(case.message.split())) if case else ""
        lines.append(f"- {test}: {said[:300] or 'fails'}")
    if len(failing) > _SHOWN_TESTS:
        lines.append(f"- and {len(failing) - _SHOWN_TESTS} more")
    return "\n".join(lines)


def changelog_difference(old: Tree, new: Tree) -> str:
    """The lines that the changelogs of `new` have and those of `old` lack; "" when there are none."""
    added: list[str] = []
    for path in sorted(new, key=lambda path: (path.count("/"), path)):
        if not _CHANGELOG.match(path):
            continue
        before, after = text_of(old, path), text_of(new, path)
        if before is None or after is None:
            continue
        matcher = difflib.SequenceMatcher(None, before.splitlines(), after.splitlines(), autojunk=False)
        for tag, _, _, start, end in matcher.get_opcodes():
            if tag in ("insert", "replace"):
                added += after.splitlines()[start:end]
        if any(line.strip() for line in added):
            break
    return "\n".join(added).strip()[:_MAX_CHARACTERS]


def release_issue(name: str, version: str, changes: str, cases: Cases, failing: Sequence[str]) -> str:
    """Without a changelog: what the new release's tests, which the solver does not have, say about the old one."""
    if not changes:
        opening = (
            f"{name} is to become {version}. Tests of the new version, not all of them yours, fail so far:"
        )
        return f"{opening}\n\n{_failures(cases, failing)}"
    opening = (
        f"Bring {name} to its next release, {version}. What is to change, in the words of its changelog:"
    )
    return f"{opening}\n\n{changes}"


def label_of(cases: Cases, failing: Sequence[str]) -> str:
    """ "feature" when all failing tests want a name or an argument that is not there yet, else "bug"."""
    messages = [cases[test].message if test in cases else "ImportError" for test in failing]
    return "feature" if all(_MISSING_NAME.search(message) for message in messages) else "bug"


_PROMPT = """You write the issue that a user of a library would file. You are given a change that broke it (a diff) and
the tests that fail now. Describe what a user sees go wrong: what was called, what came out, what should have. Do not
name the file, function or line that was changed, do not quote the diff, and do not say how to mend it.
Answer with one JSON object and nothing else: {"issue": "..."}"""


def model_issue(
    model: ChatModel, edits: Sequence[Edit], cases: Cases, failing: Sequence[str]
) -> tuple[str, Reply]:
    """Raises AnswerError, for a text that gives the fault away too, and ModelFailure."""
    failures = [[test, cases[test].message if test in cases else ""] for test in failing[:_SHOWN_TESTS]]
    user = json.dumps({"diff": difference(edits), "failing_tests": failures}, ensure_ascii=False, indent=1)
    answer, reply = ask(model, _PROMPT, user)
    return checked_issue(answer.get("issue"), edits, reply), reply


def checked_issue(text: Any, edits: Sequence[Edit], reply: Reply | None = None) -> str:
    """An issue written by a model. Raises AnswerError when it is none or gives the fault away."""
    if not isinstance(text, str) or not 20 <= len(text.strip()) <= _MAX_CHARACTERS:
        raise AnswerError("the issue is not a text of 20 to 4,000 characters", reply)
    lines = [line.strip() for edit in edits for line in (*edit.old, *edit.new)]
    for given_away in (*lines, *(edit.path for edit in edits)):
        if len(given_away) >= 8 and given_away in text:
            raise AnswerError(f"the issue gives the fault away: {given_away[:80]!r}", reply)
    return text.strip()


def difference(edits: Sequence[Edit]) -> str:
    """Edits as a person reads them."""
    parts = []
    for edit in edits:
        parts.append(f"{edit.path}, line {edit.line}")
        parts += [f"-{line}" for line in edit.old] + [f"+{line}" for line in edit.new]
    return "\n".join(parts)
