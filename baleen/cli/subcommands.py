"""Lists of commands, and commands that have commands of their own. Imports nothing heavy: `--help` answers at once."""

import importlib
from collections.abc import Mapping, Sequence


def command_rows(commands: Mapping[str, str]) -> str:
    """One line per command: its name and what it does."""
    width = max(map(len, commands))
    return "\n".join(f"  {name:<{width}}  {purpose}" for name, purpose in commands.items())


def run_subcommand(command: str, word: str, choices: Mapping[str, str], argv: Sequence[str]) -> int:
    """Run `baleen COMMAND CHOICE ...`, which is `main` of the module `baleen.cli.COMMAND_CHOICE`.

    word: what a choice is called, such as "action". Raises UsageError for an unknown choice.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(f"usage: baleen {command} {word.upper()} [options]\n\n{command_rows(choices)}\n")
        print(f"`baleen {command} {word.upper()} --help` shows the options of one {word}.")
        return 0 if argv else 2
    if argv[0] not in choices:
        from baleen.config import UsageError

        raise UsageError(f"{word.upper()} is {argv[0]!r}; it must be one of {', '.join(choices)}")
    return importlib.import_module(f"baleen.cli.{command}_{argv[0]}").main(argv[1:])
