"""Errors that a user can mend: one sentence that names the field, the value, the limit and the remedy."""

import difflib
from collections.abc import Collection


class UserError(ValueError):
    """Something the user gave cannot work. The command line prints the message alone and exits with `exit_code`."""

    exit_code = 1


class UsageError(UserError):
    """The command or the recipe itself is malformed: exit code 2, as for an unknown flag."""

    exit_code = 2


def nearest(name: str, known: Collection[str]) -> str:
    """A hint for an error about an unknown name: the closest known name, or all of them."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
