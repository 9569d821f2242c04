"""Judging candidates: as many tasks as were wanted, whatever the number of workers, and a run that goes on."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from baleen.environments import read_tasks
from baleen.synthesis import Candidate, Journal, Verdict, synthesise
from tests.agent.worlds import task_named


def judge(candidate: Candidate[int]) -> Verdict:
    """Every third is rejected."""
    time.sleep(0.002 * (candidate.work % 4))
    if candidate.work % 3 == 0:
        return Verdict(candidate.name, candidate.group, reason="dull")
    return Verdict(candidate.name, candidate.group, tasks=(task_named(candidate.name),))


def run(folder: Path, workers: int, wanted: int | None) -> list[str]:
    candidates = (Candidate(f"c{n:03}", "g", n) for n in range(60))
    with Journal(folder, {}) as journal:
        synthesise(candidates, judge, journal, workers, lambda _: None, lambda: False, wanted)
        journal.write_tasks()
    assert journal.done == {verdict.candidate for verdict in journal.verdicts}
    return sorted(journal.done)


@pytest.mark.parametrize("wanted", [1, 10, 11])
def test_as_many_tasks_as_wanted_whatever_the_workers(tmp_path: Path, wanted: int) -> None:
    judged = {workers: run(tmp_path / str(workers), workers, wanted) for workers in (1, 2, 7)}
    assert len(read_tasks(tmp_path / "2" / "tasks.jsonl")) == wanted
    assert judged[1] == judged[2] == judged[7], "no candidate is judged that one worker would not need"


def test_a_run_goes_on_to_more_tasks_and_to_all(tmp_path: Path) -> None:
    run(tmp_path, 3, 10)
    assert len(run(tmp_path, 3, 10)) == 15 and len(run(tmp_path, 3, 5)) == 15
    run(tmp_path, 3, 20)
    assert len(read_tasks(tmp_path / "tasks.jsonl")) == 20
    assert len(run(tmp_path, 3, None)) == 60


def test_all_workers_work_while_there_is_much_to_do(tmp_path: Path) -> None:
    together = threading.Barrier(4)

    def meets(candidate: Candidate[int]) -> Verdict:
        together.wait(20)
        return judge(candidate)

    def four() -> Iterator[Candidate[int]]:
        return (Candidate(f"c{n}", "g", n) for n in range(1, 5))

    with Journal(tmp_path, {}) as journal:
        synthesise(four(), meets, journal, 4, lambda _: None, lambda: False, 30)
    assert len(journal.verdicts) == 4
