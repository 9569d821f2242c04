"""`baleen agent replay DIR`: stored episodes in fresh worlds; results, scores and token ids must be as they were."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import tyro

from baleen.agent.records import Episode, read_episodes
from baleen.agent.replay_check import differences
from baleen.cli.agent_tasks import kept_assets, kept_tasks
from baleen.cli.progress import Progress
from baleen.config import UserError
from baleen.environments import ToolFailure, environment_for

_BATCH = 32
_SHOWN = 20  # differences of one run


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Play a run's stored assistant messages again and compare."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a `baleen agent run`."""

    assets: Path | None = None
    """What the tasks need to be played; where it was when the run was made if not given."""

    workers: int = 2
    """Episodes at a time."""


def main(argv: Sequence[str]) -> int:
    """Returns 0 when all is as it was, 1 with the differences printed. Raises UserError, OSError."""
    options = tyro.cli(ReplayOptions, args=list(argv), prog="baleen agent replay")
    tasks = {task.id: task for task in kept_tasks(options.run)}
    assets = options.assets or kept_assets(options.run)
    count = sum(1 for _ in read_episodes(options.run))

    def replay(episode: Episode) -> tuple[Episode, list[str]]:
        task = tasks.get(episode.trajectory.task_id)
        if task is None:
            return episode, ["its task is not kept in the run's tasks.jsonl"]
        if not episode.trajectory.turns:
            return episode, []  # it never began
        try:
            return episode, list(differences(episode.trajectory, environment_for(task, assets)))
        except ToolFailure as failure:
            return episode, [f"it could not be played: {failure}"]

    shown = differing = 0
    with Progress(["replay"]) as progress, ThreadPoolExecutor(options.workers) as pool:
        progress.start_stage("replay", count)
        for number, (episode, found) in enumerate(_in_batches(pool, replay, read_episodes(options.run)), 1):
            differing += bool(found)
            for line in found:
                if shown < _SHOWN:
                    task_id, attempt = episode.key
                    progress.message(f"  {task_id}, attempt {attempt}: {line}")
                shown += 1
            progress.update(number, differing=float(differing))
        progress.finish_stage(not differing, f"{count - differing} of {count} episodes are as they were")
        if shown > _SHOWN:
            progress.message(f"  and {shown - _SHOWN} more differences")
    if not count:
        raise UserError(f"{options.run} holds no episode yet")
    return int(bool(differing))


def _in_batches(
    pool: ThreadPoolExecutor,
    replay: Callable[[Episode], tuple[Episode, list[str]]],
    episodes: Iterator[Episode],
) -> Iterator[tuple[Episode, list[str]]]:
    """`pool.map`, with few episodes in memory at a time."""
    while batch := list(islice(episodes, _BATCH)):
        yield from pool.map(replay, batch)
