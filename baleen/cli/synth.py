"""`baleen synth KIND`: make tasks of one kind. The fate of every candidate is kept, and the same command resumes."""

from collections.abc import Sequence

from baleen.cli.subcommands import run_subcommand

KINDS = {
    "code": "bugs and releases of real packages, judged by their test suites",
    "search": "questions over a corpus that one search does not answer",
    "interpreter": "problems whose answer needs computation",
    "general": "databases with tools, tasks, solutions and verifiers",
}


def main(argv: Sequence[str]) -> int:
    """Run `baleen synth KIND ...`. Raises UserError, OSError."""
    return run_subcommand("synth", "kind", KINDS, argv)
