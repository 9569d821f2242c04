"""Estimates of how long stages take, before a run starts and while it runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from baleen.config.stages import AnyStage

# Cost of a rollout in tokens of supervised training.
_ROLLOUT_TOKENS = 100


def relative_duration(stage: AnyStage) -> float:
    """Approximate duration of a stage, relative to other stages."""
    if stage.kind == "rl":
        return stage.steps * stage.prompts_per_step * stage.group_size * _ROLLOUT_TOKENS
    return stage.steps * stage.batch_size * stage.seq_len


@dataclass
class StageTimer:
    """Timing of one stage, in seconds of any clock.

    weight: its expected share of the run's time, in any unit. total: its steps, 0 if unknown.
    """

    weight: float = 1.0
    total: int = 0
    step: int = 0
    started: float | None = None
    seconds: float = 0.0
    is_skipped: bool = False
    # Of this session: a resumed stage does not start at step 0.
    _first_step: int | None = field(default=None, init=False)
    _first_seconds: float = field(default=0.0, init=False)

    def start(self, now: float, total: int) -> None:
        """Start the stage at time `now`."""
        self.started, self.total = now, total

    def update(self, now: float, step: int | None = None) -> None:
        """Record at time `now` that `step` steps are done; None if the stage has ended."""
        assert self.started is not None, "start the stage first"
        self.seconds = now - self.started
        if step is None:
            return
        self.step = step
        if self._first_step is None:
            self._first_step, self._first_seconds = step, self.seconds

    def seconds_left(self) -> float | None:
        """Seconds until the last step at the speed of this session; None before its second update."""
        if self._first_step is None or self.step <= self._first_step or not self.total:
            return None
        per_step = (self.seconds - self._first_seconds) / (self.step - self._first_step)
        return max(0, self.total - self.step) * per_step


def run_seconds_left(timers: Sequence[StageTimer], current: StageTimer | None) -> float | None:
    """Estimated seconds left of the whole run; None if there is nothing to go by yet.

    current: the stage that is running, None between two stages.
    """
    left = current.seconds_left() if current else 0.0
    ran = [timer for timer in timers if timer.started is not None]
    spent = sum(timer.seconds for timer in ran) + (left or 0.0)
    known = sum(timer.weight for timer in ran)
    ahead = sum(timer.weight for timer in timers if timer.started is None and not timer.is_skipped)
    if left is None or not known or not spent:
        return None
    return left + ahead * spent / known
