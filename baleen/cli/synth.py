"""`baleen synth KIND`: make tasks of one kind; every candidate's fate is kept, and the same command resumes."""

import importlib
from collections.abc import Sequence

from baleen.config import UsageError

KINDS = {
    "code": "bugs and releases of real packages, judged by their test suites",
    "search": "questions over a corpus that one search does not answer",
    "interpreter": "problems whose answer needs computation",
    "general": "databases with tools, tasks, solutions and verifiers",
}


def main(argv: Sequence[str]) -> int:
    """Run `baleen synth KIND ...`. Raises UserError."""
    if not argv or argv[0] in ("-h", "--help"):
        print(_help())
        return 0 if argv else 2
    if argv[0] not in KINDS:
        raise UsageError(f"KIND is {argv[0]!r}; it must be one of {', '.join(KINDS)}")
    return importlib.import_module(f"baleen.cli.synth_{argv[0]}").main(argv[1:])


def _help() -> str:
    width = max(map(len, KINDS))
    rows = "\n".join(f"  {name:<{width}}  {what}" for name, what in KINDS.items())
    return f"usage: baleen synth KIND [options]\n\n{rows}\n\n`baleen synth KIND --help` shows the options of one kind."
