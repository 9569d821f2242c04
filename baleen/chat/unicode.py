"""Text that UTF-8 can carry."""

from typing import TypeVar

Value = TypeVar("Value")


def without_lone_surrogates(value: Value) -> Value:
    """`value`, a string or JSON value, with U+FFFD for each half of a surrogate pair.

    JSON can spell such halves and Python's file names contain them, but they cannot be written as UTF-8.
    """
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # type: ignore[return-value]
    if isinstance(value, list):
        return [without_lone_surrogates(item) for item in value]  # type: ignore[return-value]
    if isinstance(value, dict):
        return {  # type: ignore[return-value]
            without_lone_surrogates(key): without_lone_surrogates(item) for key, item in value.items()
        }
    return value
