"""The scripted author: environments and tasks from the domains that ship with Baleen, drawn by a seed."""

import random

from baleen.agent import Usage
from baleen.environments.general.presentation import offered_schemas
from baleen.environments.general.sampling import difficulties, domain_of, draw, write_task
from baleen.environments.general.task import GeneralTask
from baleen.synthesis.general.proposal import AuthorFailure, Proposal, Rejection

_SIZES = range(8, 15)
_TRIES = 20


class ScriptedAuthor:
    """One environment of a domain. The same domain and seed give the same proposals."""

    usage = Usage()

    def __init__(self, domain: str, seed: str, levels: int) -> None:
        """Raises TaskError for an unknown domain."""
        self._spec = domain_of(domain)
        self._rng = random.Random(f"{domain}-{seed}")
        self._script = self._spec.script(self._rng, self._rng.choice(_SIZES))
        self._levels = [level for level in difficulties(domain) if level <= levels]

    def begin(self) -> Proposal:
        return self._propose(self._levels[0])

    def repair(self, proposal: Proposal, rejection: Rejection) -> Proposal:
        """Another instance of the level: what a script can do."""
        return self._propose(proposal.level)

    def harder(self, proposal: Proposal) -> Proposal | None:
        for level in self._levels:
            if level > proposal.level:
                try:
                    return self._propose(level)
                except AuthorFailure:
                    continue  # this database has no task of that level
        return None

    def _propose(self, level: int) -> Proposal:
        for _ in range(_TRIES):
            draft = draw(self._spec, level, self._script, self._rng)
            if draft is not None:
                task = write_task(draft, self._rng, compact=False)
                offered = tuple(schema["name"] for schema in offered_schemas(task))
                data = GeneralTask.of(task)
                return Proposal(
                    environment=data.environment,
                    offered=offered,
                    question=task.question,
                    solution=data.solution,
                    level=level,
                    split=task.split,
                    parameters=data.parameters,
                )
        raise AuthorFailure("no task of this level in the database")
