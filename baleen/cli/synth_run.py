"""What the kinds of `baleen synth` share: options, progress, a clean stop, and what is told at the end."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import tyro

from baleen.cli.model_options import ModelOptions
from baleen.cli.progress import Progress
from baleen.report.card import write_card
from baleen.report.synthesis_figures import progress_metrics
from baleen.runs.clean_stop import CleanStop
from baleen.synthesis import Candidate, Journal, Verdict, synthesise, yields

Work = TypeVar("Work")


@dataclass(frozen=True, kw_only=True)
class SynthOptions(ModelOptions):
    """Options of every kind, those of a model that takes part among them."""

    out: Path
    """Folder of the run. The same command resumes it."""

    seed: int = 0
    """Random seed of the candidates; the same seed gives the same ones."""

    tasks: Annotated[int | None, tyro.conf.arg(name="num-tasks", aliases=["--tasks"])] = None
    """Stop when this many tasks are kept; go through all candidates if not given."""

    workers: int = os.cpu_count() or 1
    """Candidates at a time."""


def run_synthesis(
    kind: str,
    options: SynthOptions,
    settings: Mapping[str, Any],
    candidates: Iterable[Candidate[Work]],
    judge: Callable[[Candidate[Work]], Verdict],
    total: int = 0,
) -> int:
    """Judge all candidates, show the progress, and write `tasks.jsonl` and `card.html`. Returns the exit code.

    settings: what decides which candidates there are and what becomes of them; a resumed run must have the same.
    total: how many candidates there are, 0 if unknown. Raises UserError, OSError.
    """
    stop = CleanStop()
    asked = {"kind": kind, "seed": options.seed, **settings}
    with Journal(options.out, asked) as journal, Progress([kind]) as progress:
        progress.start_stage(kind, total)

        def told(journal: Journal) -> None:
            progress.update(len(journal.verdicts), **progress_metrics(journal.verdicts))

        try:
            with stop:
                synthesise(
                    candidates, judge, journal, options.workers, told, lambda: stop.heard, options.tasks
                )
        finally:  # a run that fails, or has spent its budget, still has what it kept
            path = journal.write_tasks()
            card = write_card(options.out, asked, journal.verdicts)
        kept = sum(len(verdict.tasks) for verdict in journal.verdicts)
        progress.finish_stage(kept > 0, f"{kept} tasks of {len(journal.verdicts)} candidates")
        for row in yields(journal.verdicts):
            why = ", ".join(f"{count} {reason}" for reason, count in row.reasons.items())
            progress.message(
                f"  {row.group}: {row.kept} of {row.candidates} kept, {row.tasks} tasks, "
                f"{row.seconds:.2f} s each" + (f"; rejected: {why}" if why else "")
            )
        early = "; stopped early: the same command goes on" if stop.heard else ""
        progress.message(f"wrote {path} and {card.name}{early}")
    return stop.exit_code if stop.heard else int(not kept)
