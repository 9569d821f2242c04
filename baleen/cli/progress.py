"""One live view of a run: stages with check marks, the current one's numbers, time left, memory.

On a terminal it is redrawn in place a few times a second, by the caller's own updates (no thread).
Elsewhere, and with NO_COLOR set, it is plain lines, at most one every `PLAIN_SECONDS`.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from baleen.runs.machine import resident_memory
from baleen.stages.duration import StageTimer, run_seconds_left
from baleen.stages.listener import StageListener

PLAIN_SECONDS = 10.0
REDRAW_SECONDS = 0.2
BARS = "▁▂▃▄▅▆▇█"
# Shown apart from the other numbers, or too many to show at once.
_APART = ("tokens_per_s",)
_MAIN = ("reward", "loss", "index_kl", "accuracy")
_MARKS = {
    "waiting": ("·", "dim"),
    "running": ("▸", "bold cyan"),
    "done": ("✓", "green"),
    "uncertain": ("≈", "yellow"),
    "failed": ("✗", "red"),
}
_OUTCOMES = {True: "done", None: "uncertain", False: "failed"}


@dataclass
class _Stage:
    """What is shown of one stage."""

    name: str
    timer: StageTimer
    state: str = "waiting"
    note: str = ""
    scalars: Mapping[str, float] = field(default_factory=dict)
    history: list[float] = field(default_factory=list)


class Progress(StageListener):
    """The view of a run whose stages are `stages`, in order; a context manager.

    `weights` are the stages' expected shares of the time (any unit, equal if not given): they turn the time
    spent so far into the time left of the whole run. `out` is the console, `clock` returns seconds.
    """

    def __init__(
        self,
        stages: Sequence[str],
        out: Console | None = None,
        weights: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out = out or Console()
        self._clock = clock
        self._stages = [_Stage(name, StageTimer((weights or {}).get(name, 1.0))) for name in stages]
        self._current: _Stage | None = None
        self._drawn = float("-inf")
        fancy = self._out.is_terminal and not self._out.is_dumb_terminal and not os.environ.get("NO_COLOR")
        self._live = Live(console=self._out, auto_refresh=False, transient=False) if fancy else None

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
            self._draw(force=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._draw(force=True)
            self._live.stop()

    def start_stage(self, name: str, total_steps: int) -> None:
        """Make `name` the current stage; `total_steps` is 0 if their number is unknown."""
        stage = self._find(name)
        stage.state = "running"
        stage.timer.start(self._clock(), total_steps)
        self._current, self._drawn = stage, float("-inf")
        if self._live:
            self._draw(force=True)
        else:
            self._print(f"[{name}] started" + (f", {total_steps} steps" if total_steps else ""))

    def skip_stage(self, name: str, passed: bool | None = True) -> None:
        """Mark a stage that an earlier session finished; `passed` as of `finish_stage`."""
        stage = self._find(name)
        stage.state, stage.note = _OUTCOMES[passed], "done before"
        stage.timer.is_skipped = True
        if self._live:
            self._draw(force=True)
        else:
            self._print(f"[{name}] {stage.note}")

    def update(self, step: int, **scalars: float) -> None:
        """The current stage has done `step` steps; `scalars` are its newest numbers, as in metrics.jsonl."""
        stage = self._running()
        now = self._clock()
        stage.timer.update(now, step)
        stage.scalars = scalars
        if main := _main_scalar(scalars):
            stage.history.append(float(scalars[main]))
        if self._live:
            self._draw()
        elif now - self._drawn >= PLAIN_SECONDS or step == stage.timer.total:
            self._drawn = now
            self._print(f"[{stage.name}] {self._numbers(stage)}")

    def finish_stage(self, passed: bool | None, note: str = "") -> None:
        """End the current stage: a check mark, a cross, or a mark of doubt for None, and `note` beside it."""
        stage = self._running()
        stage.timer.update(self._clock())
        stage.state, stage.note = _OUTCOMES[passed], note
        self._current = None
        if self._live:
            self._draw(force=True)
        else:
            told = f"; {note}" if note else ""
            self._print(f"[{stage.name}] {stage.state} in {duration(stage.timer.seconds)}{told}")

    def message(self, text: str) -> None:
        """Print `text` as it is, above the live view."""
        self._print(text)

    def seconds_left(self) -> tuple[float | None, float | None]:
        """Estimated seconds left of (the current stage, the whole run); None where nothing is known yet."""
        timer = self._current.timer if self._current else None
        left = timer.seconds_left() if timer else 0.0
        return left, run_seconds_left([stage.timer for stage in self._stages], timer)

    def _find(self, name: str) -> _Stage:
        return next(stage for stage in self._stages if stage.name == name)

    def _running(self) -> _Stage:
        assert self._current is not None, "no stage is running: call start_stage first"
        return self._current

    def _print(self, text: str) -> None:
        self._out.print(Text(text), soft_wrap=True)

    def _draw(self, force: bool = False) -> None:
        now = self._clock()
        if self._live and (force or now - self._drawn >= REDRAW_SECONDS):
            self._drawn = now
            self._live.update(self._view(), refresh=True)

    def _view(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for stage in self._stages:
            mark, style = _MARKS[stage.state]
            took = duration(stage.timer.seconds) if stage.timer.seconds else ""
            table.add_row(
                Text(f"{mark} {stage.name}", style=style), Text(took, style="dim"), Text(stage.note)
            )
        parts: list[RenderableType] = [table]
        stage = self._current
        if stage:
            timer = stage.timer
            done = min(1.0, timer.step / timer.total) if timer.total else 0.0
            bar = "━" * round(30 * done)
            parts.append(Text.assemble(Text(bar, "cyan"), Text("━" * (30 - len(bar)), "dim")))
            parts.append(Text(self._numbers(stage)))
            name = _main_scalar(stage.scalars)
            if name:
                parts.append(Text(f"{name} {sparkline(stage.history)}", "cyan"))
        return Group(*parts)

    def _numbers(self, stage: _Stage) -> str:
        """`step 40/300  loss 3.21  12,300 tokens/s  left 0:42 (all 5:10)  812 MiB`."""
        timer = stage.timer
        parts = [f"step {timer.step}/{timer.total}" if timer.total else f"step {timer.step}"]
        main = _main_scalar(stage.scalars)
        names = [main] if main else []
        names += [name for name in stage.scalars if name != main and name not in _APART]
        parts += [f"{name} {stage.scalars[name]:.4g}" for name in names[:6]]
        if "tokens_per_s" in stage.scalars:
            parts.append(f"{stage.scalars['tokens_per_s']:,.0f} tokens/s")
        left, overall = self.seconds_left()
        if left is not None:
            whole = f" (all ≈{duration(overall)})" if overall is not None else ""
            parts.append(f"left {duration(left)}{whole}")
        parts.append(f"{resident_memory() / 2**20:,.0f} MiB")
        return "  ".join(parts)


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """`values` as at most `width` bars from their lowest to their highest; each bar averages its share."""
    finite = [value for value in values if abs(value) != float("inf") and value == value]
    if not finite:
        return ""
    count = min(width, len(finite))
    edges = [index * len(finite) // count for index in range(count + 1)]
    means = [sum(finite[a:b]) / (b - a) for a, b in zip(edges, edges[1:], strict=False)]
    low, high = min(means), max(means)
    span = high - low or 1.0
    return "".join(BARS[round((mean - low) / span * (len(BARS) - 1))] for mean in means)


def duration(seconds: float) -> str:
    """`m:ss`, or `h:mm:ss` from one hour on."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _main_scalar(scalars: Mapping[str, float]) -> str | None:
    return next((name for name in _MAIN if name in scalars), None)
