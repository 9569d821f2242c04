"""Many episodes at once: each in a thread of its own where the world may block, each told as soon as it ends."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from baleen.agent.context import ContextManagement
from baleen.agent.dialogue import Player
from baleen.agent.loop import Limits, play
from baleen.agent.records import Episode
from baleen.agent.trajectory import StopReason, Trajectory
from baleen.agent.worker import Worker
from baleen.chat import without_lone_surrogates
from baleen.config.errors import UserError
from baleen.environments import Environment, Task, ToolFailure


@dataclass(frozen=True)
class Attempt:
    """The `number`-th try, from 0, at a task."""

    task: Task
    number: int

    @property
    def key(self) -> tuple[str, int]:
        return self.task.id, self.number


async def play_many(
    attempts: Iterable[Attempt],
    player_for: Callable[[Attempt], Player],
    world_for: Callable[[Task], Environment],
    limits: Limits,
    concurrency: int,
    told: Callable[[Episode], None],
    management: ContextManagement | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    model: str = "",
) -> None:
    """Play all attempts, `concurrency` at a time, in their order; `told` hears of each in the order they end.

    A world or a policy that crashes is the outcome of its episode. A UserError, from whichever, ends the run after
    the episodes under way, and is raised then. So does `should_stop()`, without an error.
    """
    pending = iter(attempts)
    failures: list[UserError] = []

    def over() -> bool:
        return bool(failures) or should_stop()

    async def work(pending: Iterator[Attempt]) -> None:
        while not over() and (attempt := next(pending, None)) is not None:
            started = time.time()
            try:
                trajectory = await _play_one(attempt, player_for, world_for, limits, management)
            except UserError as error:
                failures.append(error)
            else:
                told(Episode(trajectory, attempt.number, model, round(started, 3)))

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(work(pending))
    if failures:
        raise failures[0]


async def _play_one(
    attempt: Attempt,
    player_for: Callable[[Attempt], Player],
    world_for: Callable[[Task], Environment],
    limits: Limits,
    management: ContextManagement | None,
) -> Trajectory:
    worker = Worker(f"world of {attempt.task.id}")
    try:
        player = player_for(attempt)
        environment = await worker.run(world_for, attempt.task)
        return await play(player, environment, limits, management, worker, contain=True)
    except UserError:
        raise
    except ToolFailure as failure:
        return _unplayed(attempt, StopReason.TOOL_ERROR, str(failure))
    except Exception as error:
        return _unplayed(attempt, StopReason.CRASHED, f"{type(error).__name__}: {error}")
    finally:
        worker.close()


def _unplayed(attempt: Attempt, reason: StopReason, error: str) -> Trajectory:
    """The record of an attempt whose world could not be made."""
    error = without_lone_surrogates(error)
    return Trajectory(attempt.task.id, "", (), attempt.task.messages, reason, None, error)
