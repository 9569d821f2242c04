"""The interface through which a run reports its progress."""


class StageListener:
    """Receives the progress of a run, one stage after another. This one ignores it; the live view overrides it."""

    def start_stage(self, name: str, total_steps: int) -> None:
        """The stage `name` starts. `total_steps` is 0 if unknown."""

    def skip_stage(self, name: str, passed: bool | None = True) -> None:
        """The stage `name` was finished by an earlier session. `passed` as in `finish_stage`."""

    def update(self, step: int, **scalars: float) -> None:
        """The current stage has done `step` steps; `scalars` are the latest metrics, as in metrics.jsonl."""

    def finish_stage(self, passed: bool | None, note: str = "") -> None:
        """The current stage finished. passed: whether its checks did; None if they are inconclusive."""

    def message(self, text: str) -> None:
        """A line for the user."""
