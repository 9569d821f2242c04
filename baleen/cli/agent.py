"""`baleen agent run|replay|page`: play tasks with any policy, keep the trajectories, replay them, show them."""

from collections.abc import Sequence

from baleen.cli.subcommands import run_subcommand

ACTIONS = {
    "run": "play tasks with a model folder, a model behind an address, or a script",
    "replay": "replay a run's stored messages and compare results and scores",
    "page": "write the page of a run's trajectories again",
}


def main(argv: Sequence[str]) -> int:
    """Run `baleen agent ACTION ...`. Raises UserError, OSError."""
    return run_subcommand("agent", "action", ACTIONS, argv)
