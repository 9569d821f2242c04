"""`baleen agent replay RUN`: replay stored episodes; results, scores and token ids must come out the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from baleen.agent.replay_run import count_episodes, replay_run
from baleen.cli.progress import Progress
from baleen.config import UserError

_SHOWN = 20  # differences of one run


@dataclass(frozen=True, kw_only=True)
class ReplayOptions:
    """Replay a run's stored assistant messages in fresh environments and compare what comes back."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a `baleen agent run`."""

    assets: Path | None = None
    """Folder of the tasks' assets; where it was when the run was made if not given."""

    workers: int = 2
    """Episodes at a time."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen agent replay`. Returns 0 if nothing differs, else 1. Raises UserError, OSError."""
    options = tyro.cli(ReplayOptions, args=list(argv), prog="baleen agent replay")
    count = count_episodes(options.run)
    if not count:
        raise UserError(f"{options.run} holds no episode yet; play some with `baleen agent run`")
    found = differing = 0
    with Progress(["replay"]) as progress:
        progress.start_stage("replay", count)
        for number, (episode, differences) in enumerate(
            replay_run(options.run, options.assets, options.workers), 1
        ):
            differing += bool(differences)
            task, attempt = episode.key
            for line in differences[: max(0, _SHOWN - found)]:
                progress.message(f"  {task}, attempt {attempt}: {line}")
            found += len(differences)
            progress.update(number, differing=float(differing))
        progress.finish_stage(not differing, f"{count - differing} of {count} episodes are as they were")
        if found > _SHOWN:
            progress.message(f"  and {found - _SHOWN} more differences")
    return int(bool(differing))
