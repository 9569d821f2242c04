"""Whether an outcome - the database as it was left, and the answer - is right.

Two checks, both on facts. The database must differ from the initial one exactly as the reference solution left it,
but for columns that the environment declares free; and the answer must be the reference's, or, where an author wrote
a verification function, that function must accept outcome and answer. The function runs in the sandbox.
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
    """database: serialised, as an episode left it. answer: the final message's text."""

    database: bytes
    answer: str


class VerifierError(ValueError):
    """A verification function that cannot be run; the message is for its author."""


def same_changes(before: bytes, outcome: Outcome, expected: Changes, ignored: Sequence[str]) -> bool:
    """Whether the outcome's database differs from `before` by `expected` and nothing else."""
    try:
        return changes(before, outcome.database, ignored) == expected
    except DatabaseError:
        return False


def accepts(text: str, before: bytes, outcomes: Sequence[Outcome]) -> list[bool]:
    """What the function `verify(before, after, answer)` of `text` says of each; one process for all.

    A verdict other than True, an exception and a verdict that never comes are no acceptance. Raises VerifierError
    when the text cannot be run at all, SandboxUnavailable.
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
