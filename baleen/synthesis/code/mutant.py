"""A mutant: a source line with one small change."""

from dataclasses import dataclass

from baleen.environments.code.edits import Edit


@dataclass(frozen=True)
class Mutant:
    """One line changed. line: from 1; column: where the change begins, so that two on a line differ in name."""

    path: str
    line: int
    column: int
    kind: str
    old: str
    new: str

    @property
    def name(self) -> str:
        return f"{self.path}:{self.line}:{self.column}:{self.kind}"

    @property
    def edit(self) -> Edit:
        return Edit(self.path, self.line, (self.old,), (self.new,))
