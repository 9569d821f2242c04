"""Errors that a user can mend: one sentence that names the field, the value, the limit and the remedy."""


class UserError(ValueError):
    """Something the user gave cannot work. The command line prints the message alone and exits with `exit_code`."""

    exit_code = 1


class UsageError(UserError):
    """The command or the recipe itself is malformed: exit code 2, as for an unknown flag."""

    exit_code = 2
