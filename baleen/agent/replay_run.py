"""Replay all episodes of a run in fresh environments, several at a time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from baleen.agent.records import Episode, read_episodes
from baleen.agent.replay_check import differences
from baleen.agent.run_tasks import kept_assets, kept_tasks
from baleen.environments import Task, ToolFailure, environment_for

_BATCH = 32  # episodes in memory


def count_episodes(run: Path) -> int:
    """How many episodes the run in the folder `run` holds. Raises UserError."""
    return sum(1 for _ in read_episodes(run))


def replay_run(
    run: Path, assets: Path | None = None, workers: int = 2
) -> Iterator[tuple[Episode, list[str]]]:
    """Replay the episodes of a run in the order they ended.

    Args:
        run: the folder of the run.
        assets: the folder of the tasks' assets; by default where it was when the run was made.
        workers: how many episodes to replay at a time.

    Yields:
        Each episode with its differences in words, none if it went as stored.

    Raises:
        UserError: the folder holds no episodes, or a damaged line.
    """
    tasks = {task.id: task for task in kept_tasks(run)}
    assets = assets or kept_assets(run)
    episodes = read_episodes(run)

    def replay(episode: Episode) -> tuple[Episode, list[str]]:
        return episode, _differences(episode, tasks.get(episode.trajectory.task_id), assets)

    with ThreadPoolExecutor(workers) as pool:
        # `pool.map` alone would read all episodes into memory.
        while batch := list(islice(episodes, _BATCH)):
            yield from pool.map(replay, batch)


def _differences(episode: Episode, task: Task | None, assets: Path | None) -> list[str]:
    if task is None:
        return ["its task is not kept in the run's tasks.jsonl"]
    if not episode.trajectory.turns:
        return []  # it never started
    try:
        return list(differences(episode.trajectory, environment_for(task, assets)))
    except ToolFailure as failure:
        return [f"it could not be played: {failure}"]
