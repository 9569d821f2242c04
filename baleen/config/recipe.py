"""A recipe: a list of training stages, the data they use, and the evaluation after each."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from baleen.config.data import DataMix, Evaluation, Strict
from baleen.config.errors import UsageError, nearest
from baleen.config.stages import KINDS, AnyStage, DistillStage, PretrainStage, Stage, SupervisedStage
from baleen.config.toml_file import flatten, merged, read_values, set_value, validate


class Recipe(Strict):
    """A whole run. `stages` (`[[stage]]` in TOML) are sorted so that each comes after the stages it depends on."""

    seed: int = 0
    # whether stages end with acceptance checks, which a very small run cannot pass
    judged: bool = True
    preset: str = "tiny"  # model preset for training from scratch
    sizes: dict[str, Any] = {}  # keys of config.json to change in the preset
    text: str = ""  # file or folder of text
    library_text: bool = True  # also train on the sources of the Python standard library
    vocab_size: int = Field(default=1024, gt=263)
    text_bytes: int = Field(default=3_000_000, gt=10_000)  # bytes of text to read, held-out part included
    data: dict[str, DataMix] = {}
    evaluation: Evaluation = Evaluation()
    stages: tuple[AnyStage, ...] = Field(alias="stage", min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        for stage in self.stages:
            for field, name in _data_of(stage).items():
                if name not in self.data:
                    known = f"known: {', '.join(self.data)}" if self.data else f"add [data.{name or 'NAME'}]"
                    raise ValueError(f"{stage.name}.{field} = {name!r}: there is no such mixture; {known}")
        if self.evaluation.data and self.evaluation.data not in self.data:
            raise ValueError(f"evaluation.data = {self.evaluation.data!r}: there is no such mixture")
        saved = [stage.save_as for stage in self.stages if stage.save_as]
        if len(set(saved)) < len(saved):
            raise ValueError("two stages have the same save_as; each needs a folder of its own")
        return self

    @property
    def names(self) -> list[str]:
        return [stage.name for stage in self.stages]

    def stage(self, name: str) -> AnyStage:
        return next(stage for stage in self.stages if stage.name == name)

    def parent(self, name: str) -> str | None:
        """The stage whose model `name` starts from; None if it starts from scratch or from a model folder."""
        start = self.stage(name).start
        return start if start in self.names else None

    def needs(self, name: str) -> list[str]:
        """The stages that `name` depends on: its parent and its teachers."""
        return [read for read in _reads_of(self.stage(name)) if read in self.names]

    def missing(self, wanted: Sequence[str], finished: Collection[str]) -> tuple[str, str] | None:
        """The first of `wanted` whose dependency is neither finished nor wanted before it, and that dependency."""
        there = set(finished)
        for name in wanted:
            for read in self.needs(name):
                if read not in there:
                    return name, read
            there.add(name)
        return None

    def affected(self, keys: Collection[str]) -> set[str]:
        """The stages whose results change with `keys` of the recipe, and all stages that depend on them.

        Keys are those of `flat`. `evaluation` affects every evaluated stage; a key that belongs to no stage and no
        mixture, such as the seed, affects all stages.
        """
        changed: set[str] = set()
        for key in keys:
            first, _, rest = key.partition(".")
            if first in self.names:
                changed.add(first)
            elif first == "data":
                mix = rest.partition(".")[0]
                changed |= {stage.name for stage in self.stages if mix in _data_of(stage).values()}
            elif first == "evaluation" and rest != "data":
                changed |= {stage.name for stage in self.stages if is_asked(stage)}
            else:
                return set(self.names)
        for name in self.names:
            if changed & set(self.needs(name)):
                changed.add(name)
        return changed

    def flat(self) -> dict[str, Any]:
        """All values by dotted key; those of a stage start with its name, as for `--set`."""
        values = self.model_dump(mode="json", by_alias=True)
        stages = {stage.pop("name"): stage for stage in values.pop("stage")}
        return flatten(values | stages)


def is_asked(stage: Stage) -> bool:
    """Whether the held-out tasks are evaluated after `stage`: whether it trains on conversations."""
    return stage.kind in ("sft", "distill", "rl")  # type: ignore[attr-defined]


def load_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """Load a recipe from the TOML file `path` and apply `overrides`, whose dotted keys are those of `Recipe.flat`.

    A file that `extends` another inherits its stages: a `[[stage]]` with an existing name changes that stage, a new
    name adds one, and `drop = ["name"]` removes stages. Raises UsageError, which names the stage and the key.
    """
    values = read_values(path, _merge)
    stages = _by_name(values.pop("stage", []), str(path))
    for key, value in (overrides or {}).items():
        first, _, rest = key.partition(".")
        if first in stages and rest:
            set_value(stages[first], rest, value)
        else:
            set_value(values, key, value)
    for name in values.pop("drop", []):
        if name not in stages:
            raise UsageError(
                f"{path}: drop has {name!r}, but there is no such stage; {nearest(name, stages)}"
            )
        del stages[name]
    checked = [
        _stage(stage, str(path), {key for key in overrides or {} if key.partition(".")[0] == name})
        for name, stage in stages.items()
    ]
    ordered = _in_order(_with_parents(checked, str(path)), str(path))
    if ordered and not any(stage.save_as for stage in ordered):
        ordered[-1] = ordered[-1].model_copy(update={"save_as": "model"})
    data = next((stage.data for stage in ordered if isinstance(stage, SupervisedStage)), "")
    values["evaluation"] = {"data": data} | values.get("evaluation", {})
    return validate(values | {"stage": ordered}, Recipe, str(path), overrides or {})


def first_stage(path: Path) -> str:
    """The name of the first stage of the recipe at `path`, which may be incomplete. Raises UsageError."""
    stages = _by_name(read_values(path, _merge).get("stage", []), str(path))
    if not stages:
        raise UsageError(f"{path} has no stages; add [[stage]]")
    return next(iter(stages))


def _by_name(stages: Any, source: str) -> dict[str, dict[str, Any]]:
    """The stages by name. Raises UsageError for a missing or duplicate name, or if `stages` is not a list of tables."""
    if not isinstance(stages, list) or not all(isinstance(stage, dict) for stage in stages):
        raise UsageError(f"{source}: stage is not a list of tables; write [[stage]]")
    found: dict[str, dict[str, Any]] = {}
    for number, stage in enumerate(stages, 1):
        name = stage.get("name")
        if not isinstance(name, str) or not name:
            raise UsageError(f"{source}: the {number}. [[stage]] has no name; add name = ...")
        if name in found:
            raise UsageError(f"{source}: two stages have the name {name!r}; give each its own")
        found[name] = dict(stage)
    return found


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge a file over the one it extends: tables, mixtures and stages key by key."""
    found = merged(base, over)
    if isinstance(base.get("data"), dict) and isinstance(over.get("data"), dict):
        found["data"] = merged(base["data"], over["data"])
    if "stage" in base and "stage" in over:
        stages = _by_name(base["stage"], "extends")
        for name, stage in _by_name(over["stage"], "extends").items():
            stages[name] = stages.get(name, {}) | stage
        found["stage"] = list(stages.values())
    return found


def _stage(values: dict[str, Any], source: str, overrides: Collection[str]) -> AnyStage:
    """Validate one stage against the class of its kind. Raises UsageError."""
    name, kind = values["name"], values.get("kind")
    if kind not in KINDS:
        given = f"kind = {kind!r} is unknown" if kind is not None else "kind is missing"
        raise UsageError(f"{source}: {name}.{given}; {nearest(str(kind), KINDS)}")
    return validate(values, KINDS[kind], source, overrides, prefix=f"{name}.")


def _with_parents(stages: Sequence[AnyStage], source: str) -> list[AnyStage]:
    """Fill in each stage's default `from`, and check that parents and teachers exist. Raises UsageError."""
    kinds = {stage.name: stage.kind for stage in stages}
    names, found = list(kinds), []
    for number, stage in enumerate(stages):
        start = stage.start or (names[number - 1] if number and stage.kind != "pretrain" else "")
        if start and start not in names and not _is_path(start):
            raise UsageError(f"{source}: {stage.name}.from = {start!r} is no stage; {nearest(start, names)}")
        if not start and stage.kind != "pretrain":
            raise UsageError(
                f"{source}: {stage.name} begins with no model; give it from = a stage or a model's folder, or --from"
            )
        for teacher in stage.teachers if isinstance(stage, DistillStage) else ():
            where, kind = f"{source}: {stage.name}.teachers.{teacher}", kinds.get(teacher)
            if kind is None:
                raise UsageError(f"{where}: there is no such stage; {nearest(teacher, kinds)}")
            if kind != "rl":
                raise UsageError(f"{where}: it is a stage of kind {kind}; teachers are of kind rl")
        found.append(stage.model_copy(update={"start": start}))
    return found


def _in_order(stages: Sequence[AnyStage], source: str) -> list[AnyStage]:
    """The stages in the order of the file, each moved after its dependencies. Raises UsageError for a cycle."""
    waiting, done = list(stages), []
    while waiting:
        left = {stage.name for stage in waiting}
        ready = next((stage for stage in waiting if not left & set(_reads_of(stage))), None)
        if ready is None:
            circle = " <- ".join(stage.name for stage in waiting)
            raise UsageError(
                f"{source}: these stages wait for each other: {circle}; change a from or a teacher"
            )
        done.append(ready)
        waiting.remove(ready)
    return done


def _reads_of(stage: Stage) -> list[str]:
    """What the stage depends on: its start, a stage or a folder, and its teachers."""
    return [stage.start, *(stage.teachers if isinstance(stage, DistillStage) else ())]


def _is_path(start: str) -> bool:
    return os.sep in start or start.startswith((".", "~")) or Path(start).exists()


def _data_of(stage: Stage) -> dict[str, str]:
    """The mixtures that the stage uses, by field."""
    if not isinstance(stage, SupervisedStage):
        return {}
    found = {"data": stage.data}
    if isinstance(stage, PretrainStage) and stage.extension_data:
        found["extension_data"] = stage.extension_data
    if isinstance(stage, DistillStage) and stage.follow_up_data:
        found["follow_up_data"] = stage.follow_up_data
    return found
