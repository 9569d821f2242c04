"""TOML in, checked records out, and back, for any frozen pydantic model."""

import difflib
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import tomli_w
from pydantic import BaseModel, ValidationError

from baleen.config.errors import UsageError
from baleen.config.shipped import choices, find_recipe

MAX_EXTENDS = 8

Model = TypeVar("Model", bound=BaseModel)
Merge = Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]


def read_values(path: Path, merge: Merge, depth: int = 0) -> dict[str, Any]:
    """The values of a TOML file; if it extends another, that file's values with this one's merged over them.

    `extends = "other.toml"` is relative to the file; `extends = "tiny"` names a recipe that ships. Raises UsageError.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist; {choices()}") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; give the path of a .toml file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text; a recipe is a .toml file") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from None
    base = values.pop("extends", None)
    if base is None:
        return values
    if depth == MAX_EXTENDS:
        raise UsageError(f"{path}: extends goes {MAX_EXTENDS} files deep; do two recipes extend each other?")
    if not isinstance(base, str):
        raise UsageError(f'{path}: extends = {base!r}; give the name of a recipe, as "tiny"')
    return merge(read_values(find_recipe(base, path.parent), merge, depth + 1), values)


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` over `base`; a table in both is joined key by key."""
    found = dict(base)
    for key, value in over.items():
        before = found.get(key)
        found[key] = before | value if isinstance(value, dict) and isinstance(before, dict) else value
    return found


def validate(
    values: Mapping[str, Any],
    model: type[Model],
    source: str,
    overrides: Collection[str] = (),
    prefix: str = "",
) -> Model:
    """`values` as a `model`. Raises UsageError naming `source`, or the override, and the key at fault.

    prefix: prepended to the model's keys in the message.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # a misspelt key first: it may be why others are missing
        first, *others = sorted(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        key = prefix + ".".join(map(str, first["loc"]))
        where = "override" if any(f"{name}.".startswith(f"{key}.") for name in overrides) else source
        more = f" (and {len(others)} more)" if others else ""
        raise UsageError(f"{where}: {_explain(first, key, model, prefix)}{more}") from None


def dump_toml(model: BaseModel) -> str:
    """`model` as TOML that reads back as the same; None, which TOML cannot say, is left out."""
    return tomli_w.dumps(model.model_dump(mode="json", by_alias=True, exclude_none=True))


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one table of dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Overrides from `stage.key=value` with TOML values; a bare word is text. Raises UsageError."""
    found: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = (part.strip() for part in setting.partition("="))
        if not (equals and key and value and all(key.split("."))):
            raise UsageError(f"--set {setting}: write stage.key=value, as distill.steps=90")
        try:
            found[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            found[key] = value
    return found


def set_value(values: dict[str, Any], key: str, value: Any) -> None:
    """Set the value of a dotted `key`. Raises UsageError where a part of it is no table."""
    *tables, last = key.split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise UsageError(f"override {key}: {table} is a value, not a table")
    values[last] = value


def _explain(error: Any, key: str, model: type[BaseModel], prefix: str) -> str:
    """One pydantic error as a phrase: the key, what was given, what is allowed."""
    if error["type"] == "extra_forbidden":
        *parents, last = error["loc"]
        known = _known_keys(model, parents)
        near = difflib.get_close_matches(str(last), known, n=1, cutoff=0.5)
        hint = (
            f"did you mean {prefix}{'.'.join([*map(str, parents), near[0]])}?"
            if near
            else f"known: {', '.join(known)}"
        )
        return f"unknown key {key}; {hint}"
    if error["type"] == "missing":
        return f"{key} is missing; add it"
    rule = error["msg"].removeprefix("Value error, ")
    if error["type"] == "value_error":  # a rule over several fields names them itself
        return f"{key}: {rule}" if key else rule
    return f"{key} = {error['input']!r}: {rule[:1].lower()}{rule[1:]}"


def _known_keys(model: type[BaseModel], parents: list[Any]) -> list[str]:
    """Field names of the record that `parents` leads to inside `model`."""
    for parent in parents:
        field = model.model_fields.get(str(parent))
        if field is not None:
            model = _record_in(field.annotation) or model
    return sorted(field.alias or name for name, field in model.model_fields.items())


def _record_in(annotation: Any) -> type[BaseModel] | None:
    """The first pydantic model inside a type such as `X`, `X | None`, `dict[str, X]`, `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_record_in, get_args(annotation))), None)
