"""Many episodes: as many at once as allowed, each told as it ends, none lost to another's misfortune."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from baleen.agent import ChatPlayer, Limits, Player, Reply
from baleen.agent.records import Episode
from baleen.agent.runner import Attempt, play_many
from baleen.chat import Message
from baleen.config import UserError
from baleen.environments import Environment, Task
from tests.agent.stand_in import Answer, says, stand_in
from tests.agent.worlds import BROKEN, Model, Watched, answer, task_named

LIMITS = Limits(5, 10_000)


def play(
    count: int,
    player_for: Callable[[Attempt], Player],
    world_for: Callable[[Task], Environment] = Watched,
    concurrency: int = 4,
    **options: Any,
) -> list[Episode]:
    heard: list[Episode] = []
    attempts = [Attempt(task_named(f"t{n}"), k) for n in range(count) for k in range(2)]
    asyncio.run(play_many(attempts, player_for, world_for, LIMITS, concurrency, heard.append, **options))
    return heard


def right(attempt: Attempt) -> Player:
    return ChatPlayer(Model(lambda n: answer(attempt.task.answer)))


def test_every_attempt_is_played_once() -> None:
    heard = play(7, right, model="m")
    assert sorted(e.key for e in heard) == [(f"t{n}", k) for n in range(7) for k in range(2)]
    assert all(e.trajectory.reward == 1.0 and e.model == "m" and e.started > 0 for e in heard)


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_at_once_than_allowed(concurrency: int) -> None:
    from baleen.agent import Endpoint

    with stand_in(lambda request: Answer(says("x").body, seconds=0.03)) as server:
        model = Endpoint(server.url, "m")
        assert len(play(4, lambda attempt: ChatPlayer(model), concurrency=concurrency)) == 8
        assert server.most_at_once == concurrency


def test_a_crash_takes_nobody_along() -> None:
    def player_for(attempt: Attempt) -> Player:
        if attempt.task.id == "t1":
            raise RuntimeError("no policy")
        return right(attempt)

    def world_for(task: Task) -> Watched:
        if task.id == "t2":
            raise KeyError("no world")
        if task.id == "t3":
            raise BROKEN
        return Watched(task, {"score": ZeroDivisionError()} if task.id == "t4" else {})

    heard = play(6, player_for, world_for)
    assert {(e.key[0], str(e.trajectory.stop_reason), e.trajectory.reward) for e in heard} == {
        ("t0", "finished", 1.0),
        ("t1", "crashed", None),
        ("t2", "crashed", None),
        ("t3", "tool_error", None),
        ("t4", "crashed", None),
        ("t5", "finished", 1.0),
    }


def test_what_the_user_must_mend_ends_the_run_after_those_under_way() -> None:
    def script(attempt: Attempt) -> Callable[[int], Message | Reply]:
        def say(number: int) -> Message:
            if attempt.task.id == "t1":
                raise UserError("no such key")
            return answer("x")

        return say

    heard: list[Episode] = []
    attempts = [Attempt(task_named(f"t{n}"), 0) for n in range(50)]
    with pytest.raises(UserError, match="no such key"):
        asyncio.run(
            play_many(attempts, lambda a: ChatPlayer(Model(script(a))), Watched, LIMITS, 2, heard.append)
        )
    assert 1 <= len(heard) < 10


def test_a_stop_is_heard_between_episodes() -> None:
    heard: list[Episode] = []
    attempts = [Attempt(task_named(f"t{n}"), 0) for n in range(50)]
    asyncio.run(
        play_many(attempts, right, Watched, LIMITS, 2, heard.append, should_stop=lambda: len(heard) >= 5)
    )
    assert 5 <= len(heard) <= 6
