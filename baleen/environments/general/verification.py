"""Whether an outcome, the database at the end of an episode and the answer, is right.

The database must differ from the initial one exactly as after the reference solution, except in columns that the
environment ignores. The answer must equal the reference answer; if the author wrote a verification function, that
function, run in the sandbox, must accept the databases and the answer instead.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from baleen.environments.general.database import Changes, DatabaseError, changes
from baleen.environments.general.process import ProcessEnded, Program

SECONDS = 10.0


@dataclass(frozen=True)
class Outcome:
    """How an episode ended: its serialized database and the text of its final message."""

    database: bytes
    answer: str


class VerifierError(ValueError):
    """A verification function cannot be run; the message is for its author."""


def same_changes(before: bytes, outcome: Outcome, expected: Changes, ignored: Sequence[str]) -> bool:
    """Whether the outcome's database differs from `before` by exactly the `expected` changes."""
    try:
        return changes(before, outcome.database, ignored) == expected
    except DatabaseError:
        return False


def accepts(text: str, before: bytes, outcomes: Sequence[Outcome]) -> list[bool]:
    """Run the function `verify(before, after, answer)` on several outcomes, in one process.

    Args:
        text: Python source of the function.
        before: the initial database, serialized.
        outcomes: what it has to judge.

    Returns:
        For each outcome whether the function returned True in time. Any other result, and an exception, is False.

    Raises:
        VerifierError: the text cannot be run at all.
        SandboxUnavailable: this machine cannot enforce the sandbox.
    """
    first = base64.b64encode(before).decode()
    rows = [
        {"before": first, "after": base64.b64encode(outcome.database).decode(), "answer": outcome.answer}
        for outcome in outcomes
    ]
    verdicts: list[bool] = []
    with Program("verifier", {"verification_text": text}) as program:
        try:
            program.send(rows)
            while len(verdicts) < len(outcomes):
                verdicts.append(_accepted(program.receive(SECONDS)))
        except ProcessEnded as error:
            if not verdicts:
                raise VerifierError(f"the verification function cannot be run: {error}") from None
    return verdicts + [False] * (len(outcomes) - len(verdicts))


def _accepted(line: Mapping[str, Any]) -> bool:
    return line.get("accepted") is True
