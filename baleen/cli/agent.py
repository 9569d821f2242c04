"""`baleen agent run|replay|page`: play tasks with any policy, keep what happened, play it again, look at it."""

import importlib
from collections.abc import Sequence

from baleen.config import UsageError

ACTIONS = {
    "run": "play tasks with a model folder, a model behind an address, or a script",
    "replay": "play a run's stored messages again and compare results and scores",
    "page": "write a run's trajectories as one HTML page again",
}


def main(argv: Sequence[str]) -> int:
    """Run `baleen agent ACTION ...`. Raises UserError, OSError."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        return 0 if argv else 2
    if argv[0] not in ACTIONS:
        raise UsageError(f"ACTION is {argv[0]!r}; it must be one of {', '.join(ACTIONS)}")
    return importlib.import_module(f"baleen.cli.agent_{argv[0]}").main(argv[1:])


def _help() -> str:
    width = max(map(len, ACTIONS))
    rows = "\n".join(f"  {name:<{width}}  {what}" for name, what in ACTIONS.items())
    return f"usage: baleen agent ACTION [options]\n\n{rows}\n\n`baleen agent ACTION --help` shows the options of one."
