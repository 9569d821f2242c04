"""Candidates in, verdicts out: many at once, each recorded as soon as it is known."""

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from typing import Generic, TypeVar

from baleen.synthesis.journal import Journal, Verdict

Work = TypeVar("Work")


@dataclass(frozen=True)
class Candidate(Generic[Work]):
    """Something that may become tasks. name: unique and stable; group: its row in the table of yields."""

    name: str
    group: str
    work: Work


def synthesise(
    candidates: Iterable[Candidate[Work]],
    judge: Callable[[Candidate[Work]], Verdict],
    journal: Journal,
    workers: int,
    told: Callable[[Journal], None],
    should_stop: Callable[[], bool],
    wanted: int | None = None,
) -> None:
    """Judge the candidates that the journal does not hold yet, in their order, `workers` at a time.

    `judge` runs in threads; what it raises ends the run after the others in flight are recorded, so it must turn
    a candidate's faults into a verdict with a reason. `told` is called after each verdict. Ends early when
    `should_stop()` turns true or when `wanted` tasks are kept.

    No more candidates are in flight than tasks are wanting. So the ones judged are the same for any number of
    workers, and there are more than `wanted` tasks only where the last candidate has several.
    """
    pending = (c for c in candidates if c.name not in journal.done)
    kept = sum(len(verdict.tasks) for verdict in journal.verdicts)
    with ThreadPoolExecutor(workers) as pool:
        flying: set[Future[Verdict]] = set()
        failure: BaseException | None = None
        while True:
            if failure is None and not should_stop():
                room = workers if wanted is None else min(workers, wanted - kept)
                free = max(0, room - len(flying))
                flying |= {pool.submit(_timed, judge, c) for c in islice(pending, free)}
            if not flying:
                break
            landed, flying = wait(flying, return_when=FIRST_COMPLETED)
            for future in landed:
                error = future.exception()
                if error is not None:
                    failure = failure or error
                    continue
                journal.add(future.result())
                kept += len(future.result().tasks)
                told(journal)
    if failure is not None:
        raise failure


def _timed(judge: Callable[[Candidate[Work]], Verdict], candidate: Candidate[Work]) -> Verdict:
    began = time.perf_counter()
    return replace(judge(candidate), seconds=round(time.perf_counter() - began, 3))


@dataclass(frozen=True)
class Yield:
    """A row of the table of yields. seconds: per candidate, the mean."""

    group: str
    candidates: int
    kept: int
    tasks: int
    seconds: float
    reasons: dict[str, int]


def yields(verdicts: Sequence[Verdict]) -> list[Yield]:
    """One row per group in the order of their names: candidates, kept ones, tasks, reasons for rejection."""
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.group, []).append(verdict)
    return [_yield(name, groups[name]) for name in sorted(groups)]


def _yield(name: str, verdicts: Sequence[Verdict]) -> Yield:
    reasons: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.reason:
            reasons[verdict.reason] = reasons.get(verdict.reason, 0) + 1
    return Yield(
        group=name,
        candidates=len(verdicts),
        kept=sum(bool(v.tasks) for v in verdicts),
        tasks=sum(len(v.tasks) for v in verdicts),
        seconds=sum(v.seconds for v in verdicts) / len(verdicts),
        reasons=dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0]))),
    )
