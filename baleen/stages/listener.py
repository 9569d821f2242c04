"""Who hears how a run goes: the live view on a terminal, or nobody."""

from typing import Protocol


class StageListener(Protocol):
    """Told of stages in their order, one at a time."""

    def start_stage(self, name: str, total_steps: int) -> None:
        """`name` begins; `total_steps` is 0 where their number is unknown."""

    def skip_stage(self, name: str, passed: bool | None = True) -> None:
        """`name` was finished by an earlier session; `passed` as of `finish_stage`."""

    def update(self, step: int, **scalars: float) -> None:
        """The running stage has done `step` steps; `scalars` are its newest numbers, as in metrics.jsonl."""

    def finish_stage(self, passed: bool | None, note: str = "") -> None:
        """The running stage ended: its checks passed, failed, or (None) are uncertain."""

    def message(self, text: str) -> None:
        """A line for the user."""
