"""How options are read, shown and checked, the same for every command.

The help shows an option that may be left out as `PATH`, not as `{None}|PATH`; choices keep the order in which the code
lists them; bf16 is another word for bfloat16.
"""

import dataclasses
import operator
import sys
import types
from collections.abc import Iterable, Sequence
from functools import reduce
from typing import Any, Literal, Union, get_args

from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    PrimitiveTypeInfo,
    UnsupportedTypeAnnotationError,
)

from baleen.config import UsageError

_SHORT_NAMES = {"bf16": "bfloat16"}
Spec = PrimitiveConstructorSpec[Any]


def rules() -> ConstructorRegistry:
    """A context manager inside which `tyro.cli` follows the rules above."""
    registry = ConstructorRegistry()
    registry.primitive_rule(_optional)
    registry.primitive_rule(_number_format)
    return registry


def with_model_positional(argv: Sequence[str]) -> list[str]:
    """Turn `--model FOLDER`, as other servers spell it, into the positional FOLDER."""
    words = []
    given = iter(argv)
    for word in given:
        if word == "--model":
            words += [folder] if (folder := next(given, None)) is not None else [word]
        else:
            words.append(word.removeprefix("--model="))
    return words


def require_positive(options: object, *names: str) -> None:
    """Raises UsageError if one of these options is given and not above 0."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be above 0")


def require_at_least(least: int, options: object, *names: str) -> None:
    """Raises UsageError if one of these options is given and below `least`."""
    for name in names:
        value = getattr(options, name)
        if value is not None and value < least:
            raise UsageError(f"--{name.replace('_', '-')} is {value}; it must be {least} or more")


def require_known(option: str, names: Iterable[object], known: Iterable[object]) -> None:
    """Raises UsageError if the option is given a name that is not among the known ones."""
    choices = list(known)
    for name in names:
        if name not in choices:
            raise UsageError(f"--{option} has {name!r}; it must be one of {', '.join(map(str, choices))}")


def say(line: str) -> None:
    """Tell the user something that is not part of the output."""
    print(f"baleen: {line}", file=sys.stderr, flush=True)


def _optional(info: PrimitiveTypeInfo) -> Spec | UnsupportedTypeAnnotationError | None:
    """`X | None` is read and shown as X, and is None if not given."""
    kinds = get_args(info.type)
    if info.type_origin not in (Union, types.UnionType) or type(None) not in kinds:
        return None
    rest = reduce(operator.or_, (kind for kind in kinds if kind is not type(None)))
    spec = ConstructorRegistry.get_primitive_spec(PrimitiveTypeInfo.make(rest, info.markers))
    if isinstance(spec, UnsupportedTypeAnnotationError):
        return spec
    return dataclasses.replace(
        spec,
        is_instance=lambda value: value is None or spec.is_instance(value),
        str_from_instance=lambda value: ["not", "given"] if value is None else spec.str_from_instance(value),
    )


def _number_format(info: PrimitiveTypeInfo) -> Spec | None:
    """Choices that include bfloat16 also accept its short name, which the help does not show."""
    choices = get_args(info.type)
    if info.type_origin is not Literal or not set(choices) & set(_SHORT_NAMES.values()):
        return None
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{{{','.join(choices)}}}",
        instance_from_str=lambda words: _SHORT_NAMES.get(words[0], words[0]),
        is_instance=lambda value: value in choices,
        str_from_instance=lambda value: [value],
        choices=(*choices, *_SHORT_NAMES),
    )
