"""Whether a proposal holds: the solution passes, twice the same, and wrong outcomes fail."""

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from baleen.environments.general import GeneralTask, open_tools
from baleen.environments.general.database import DatabaseError, build, changes
from baleen.environments.general.sampling import general_task
from baleen.environments.general.solution import SolutionError, run_solution
from baleen.environments.general.task import ToolCall
from baleen.environments.general.tools import ToolSource, as_text
from baleen.environments.general.verification import Outcome, VerifierError, accepts, same_changes
from baleen.synthesis.general.mutations import mutants
from baleen.synthesis.general.proposal import Checked, Proposal, Rejection

MIN_MUTANTS = 10
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


def check(proposal: Proposal) -> Checked:
    """The proposal as a task. Raises Rejection; SandboxUnavailable."""
    schemas = _offered_schemas(proposal)
    before = build(proposal.environment.database)
    ignored = proposal.environment.ignored
    right, calls = _solved(proposal)
    again, _ = _solved(proposal)
    if not calls:
        raise Rejection("solution calls no tool", "the answer must come from tools")
    expected = changes(before, right.database, ignored)
    if right.answer != again.answer or expected != changes(before, again.database, ignored):
        raise Rejection("not deterministic", "two runs of the solution end differently")
    if not expected and right.answer.casefold() in proposal.question.casefold().split():
        raise Rejection(
            "question holds the answer", f"the question contains {right.answer!r} and nothing changes"
        )
    tried = _refused(proposal, before, right)
    data = GeneralTask(
        environment=proposal.environment,
        solution=proposal.solution,
        parameters=proposal.parameters,
        calls=tuple(calls),
        changes=expected,
        verification=proposal.verification,
    )
    name = proposal.environment.name
    task = general_task(name, proposal.level, proposal.split, schemas, proposal.question, right.answer, data)
    return Checked(proposal, task, tried)


def _offered_schemas(proposal: Proposal) -> list[Mapping[str, Any]]:
    """Schemas of the tools of the task, in their order there. Raises Rejection for any part that is none."""
    environment = proposal.environment
    try:
        build(environment.database)
    except DatabaseError as error:
        raise Rejection("database is broken", str(error)) from None
    try:
        source = open_tools(environment)
        schemas = {schema["name"]: schema for schema in source.schemas}
        source.close()
        for name, schema in schemas.items():
            if not _NAME.fullmatch(name):
                raise Rejection("tools are broken", f"the name {name!r} must be a lower-case word")
            Draft202012Validator.check_schema(schema["parameters"])
            if schema["parameters"].get("type") != "object":
                raise Rejection(
                    "tools are broken", f"the parameters of {name} must be a JSON schema of an object"
                )
        return [
            {key: schemas[name][key] for key in ("name", "description", "parameters")}
            for name in proposal.offered
        ]
    except (ValueError, TypeError, KeyError, AttributeError, SchemaError) as error:
        raise Rejection("tools are broken", f"{type(error).__name__}: {str(error)[:300]}") from None


class _Kept:
    """A tool source that keeps what was called."""

    def __init__(self, source: ToolSource) -> None:
        self._source = source
        self.calls: list[ToolCall] = []

    @property
    def schemas(self) -> Sequence[Mapping[str, Any]]:
        return self._source.schemas

    def call(self, name: str, arguments: Mapping[str, Any]) -> Any:
        result = self._source.call(name, arguments)
        self.calls.append(ToolCall(name, dict(arguments), as_text(result)))
        return result

    def database(self) -> bytes:
        return self._source.database()

    def restore(self, data: bytes) -> None:
        self._source.restore(data)

    def close(self) -> None:
        self._source.close()


def _solved(proposal: Proposal) -> tuple[Outcome, list[ToolCall]]:
    kept = _Kept(open_tools(proposal.environment))
    try:
        answer = run_solution(proposal.solution, kept, proposal.parameters, proposal.offered)
        return Outcome(kept.database(), answer), kept.calls
    except SolutionError as error:
        raise Rejection("solution fails", str(error)) from None
    finally:
        kept.close()


def _refused(proposal: Proposal, before: bytes, right: Outcome) -> int:
    """How many wrong outcomes the verification refused. Raises Rejection when it accepts one."""
    ignored = proposal.environment.ignored
    expected = changes(before, right.database, ignored)
    # Seeded by the task itself: the same proposal meets the same wrong outcomes.
    rng = random.Random(f"{proposal.question}\n{right.answer}")
    wrong = mutants(before, right, expected, ignored, rng)
    if len(wrong) < MIN_MUTANTS:
        raise Rejection(
            "too few wrong outcomes", f"only {len(wrong)} could be made; the database is too small"
        )
    outcomes = [right, *(mutant.outcome for mutant in wrong)]
    if proposal.verification:
        try:
            verdicts = accepts(proposal.verification, before, outcomes)
        except VerifierError as error:
            raise Rejection("verification fails", str(error)) from None
    else:
        verdicts = [
            same_changes(before, outcome, expected, ignored) and outcome.answer == right.answer
            for outcome in outcomes
        ]
    if not verdicts[0]:
        raise Rejection("verification refuses the solution", f"the solution's answer is {right.answer!r}")
    for mutant, accepted in zip(wrong, verdicts[1:], strict=True):
        if accepted:
            raise Rejection(
                "verification accepts a wrong outcome",
                f"{mutant.kind}: answer {mutant.outcome.answer!r} instead of {right.answer!r}, changes of the database "
                f"{changes(before, mutant.outcome.database, ignored)} instead of {expected}"[:1500],
            )
    return len(wrong)
