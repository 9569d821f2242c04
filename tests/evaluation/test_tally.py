"""The tally of a run: what counts once, what not at all, and the task as the unit of its interval."""

from typing import Any

import pytest

from baleen.evaluation.intervals import wilson
from baleen.evaluation.tally import Tally


def row(
    task: str, attempt: int, reward: float | None, reason: str = "finished", error: str = ""
) -> dict[str, Any]:
    usage = {"dollars": 0.25}
    return {
        "task": task,
        "attempt": attempt,
        "reward": reward,
        "stop_reason": reason,
        "error": error,
        "usage": usage,
    }


def test_another_try_replaces_the_one_that_failed() -> None:
    tally = Tally([("a", 0), ("b", 0)])
    tally.add(row("a", 0, None, "policy_error", "ill"))
    assert not tally.is_settled(("a", 0)) and tally.errors() == {"ill": 1}
    assert tally.metrics() == {"failed": 1.0, "dollars": 0.25}
    tally.add(row("a", 0, 1.0))
    assert tally.is_settled(("a", 0)) and not tally.errors()
    assert (len(tally), tally.settled, tally.rewarded) == (1, 1, 1)
    assert tally.metrics() == {"reward": 1.0, "dollars": 0.25}


def test_attempts_that_nobody_wants_do_not_count() -> None:
    tally = Tally([("a", 0)])
    tally.add(row("a", 1, 1.0))
    tally.add(row("b", 0, 1.0))
    assert len(tally) == 0 and tally.metrics() == {} and tally.rewards() == {}


def test_the_task_is_the_unit_however_often_it_was_played() -> None:
    tally = Tally([(task, number) for task in "ab" for number in range(4)])
    for number in range(4):
        tally.add(row("a", number, 1.0))
    tally.add(row("b", 0, 0.0, "max_tokens"))
    assert tally.reward() == pytest.approx(wilson(1, 2))
    assert tally.solved_tasks() == 1 and tally.truncated() == 1
    assert tally.outcomes() == {"finished": 4, "max_tokens": 1}
