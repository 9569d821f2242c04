"""What an author hands in, and what it is told when that is not good enough."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from baleen.agent import Usage
from baleen.environments import Split, Task
from baleen.environments.general import EnvironmentSpec


@dataclass(frozen=True)
class Proposal:
    """A task that an author believes in.

    environment: as `open_tools` takes it, and `name`, `ignored`. offered: names of the tools of the task.
    solution: text of `solution(tools, **parameters)`. verification: text of `verify(before, after, answer)`, or ""
    for the exact comparison alone.
    """

    environment: EnvironmentSpec = field(repr=False)
    offered: tuple[str, ...]
    question: str
    solution: str
    level: int
    split: Split
    parameters: Mapping[str, Any] = field(default_factory=dict)
    verification: str = ""


@dataclass(frozen=True)
class Checked:
    """A proposal that holds: its task, and how many wrong outcomes were tried on its verification."""

    proposal: Proposal
    task: Task
    mutants: int


class Rejection(Exception):
    """A proposal that does not hold. reason: a few words that many share; detail: for its author to mend it."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class AuthorFailure(Exception):
    """An author that has nothing (more) to hand in; the reason in a few words."""


class Author(Protocol):
    """The author of one environment. All methods raise AuthorFailure and, when its money is spent, BudgetSpent."""

    @property
    def usage(self) -> Usage: ...

    def begin(self) -> Proposal:
        """An environment with a simple task."""
        ...

    def repair(self, proposal: Proposal, rejection: Rejection) -> Proposal:
        """Another try at what was rejected."""
        ...

    def harder(self, proposal: Proposal) -> Proposal | None:
        """A harder task in the same environment, with more tools where it needs them; None for no more."""
        ...
