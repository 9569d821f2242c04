"""A recipe: a list of stages, each starting from another one's model, and what they learn from."""

import difflib
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from baleen.config.data import DataMix, Evaluation, Strict
from baleen.config.errors import UsageError
from baleen.config.stages import KINDS, AnyStage, DistillStage, PretrainStage, Stage, SupervisedStage
from baleen.config.toml_file import merged, read_values, set_value, validate

# What a file may say about stages it takes over from the one that it extends.
_DROP = "drop"


class Recipe(Strict):
    """A whole run. `stages` (`[[stage]]` in TOML) are in an order in which each comes after those that it needs."""

    seed: int = 0
    # whether a stage ends with checks of what it was for; too small a run cannot pass them
    judged: bool = True
    preset: str = "tiny"  # of a model that begins from nothing
    sizes: dict[str, Any] = {}  # keys of config.json that differ from the preset's
    text: str = ""  # file or folder of text
    library_text: bool = True  # read the standard library of the Python that runs, too
    vocab_size: int = Field(default=1024, gt=263)
    text_bytes: int = Field(default=3_000_000, gt=10_000)  # real text to read, held-out part included
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
        if len({stage.save_as for stage in self.stages if stage.save_as}) < sum(
            bool(stage.save_as) for stage in self.stages
        ):
            raise ValueError("two stages have the same save_as; each needs a folder of its own")
        return self

    @property
    def names(self) -> list[str]:
        return [stage.name for stage in self.stages]

    def stage(self, name: str) -> AnyStage:
        return next(stage for stage in self.stages if stage.name == name)

    def parent(self, name: str) -> str | None:
        """The stage whose model `name` begins with; None where it begins from nothing or from a folder."""
        start = self.stage(name).start
        return start if start in self.names else None

    def needs(self, name: str) -> list[str]:
        """Every stage that `name` reads of: whose model it begins with, and its teachers."""
        stage, parent = self.stage(name), self.parent(name)
        teachers = list(stage.teachers) if isinstance(stage, DistillStage) else []
        return [*([parent] if parent else []), *teachers]

    def missing(self, wanted: Sequence[str], finished: Collection[str]) -> tuple[str, str] | None:
        """The first of `wanted` that reads of a stage neither finished nor wanted before it, and that stage."""
        there = set(finished)
        for name in wanted:
            for read in self.needs(name):
                if read not in there:
                    return name, read
            there.add(name)
        return None

    def affected(self, keys: Collection[str]) -> set[str]:
        """The stages that come out otherwise when `keys` of the recipe change, and all that read of them.

        Keys are those of `flat`. `evaluation` changes every stage that is asked; what belongs to no stage and no
        mixture, such as the seed, changes everything.
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
        """Every value by its dotted key, those of stages under the stage's name, as `--set` takes them."""
        values = self.model_dump(mode="json", by_alias=True)
        stages = {stage.pop("name"): stage for stage in values.pop("stage")}
        return dict(_flatten(values | stages))


def is_asked(stage: Stage) -> bool:
    """Whether the model of `stage` is asked the held-out tasks: whether it has seen conversations."""
    return stage.kind in ("sft", "distill", "rl")  # type: ignore[attr-defined]


def load_recipe(path: Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe in the TOML file `path`, after `overrides` (dotted keys; those of a stage begin with its name).

    A file that `extends` another takes its stages over: a `[[stage]]` of a known name changes that one, another name
    adds one, and `drop = ["name"]` leaves some out. Raises UsageError, which names the stage and the key at fault.
    """
    values = read_values(path, _merge)
    stages = _by_name(values.pop("stage", []), str(path))
    for key, value in (overrides or {}).items():
        first, _, rest = key.partition(".")
        if first in stages and rest:
            set_value(stages[first], rest, value)
        else:
            set_value(values, key, value)
    for name in values.pop(_DROP, []):
        if name not in stages:
            raise UsageError(f"{path}: drop has {name!r}, but there is no such stage; {_near(name, stages)}")
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
    """The name of the first stage in the recipe at `path`, which need not be complete. Raises UsageError."""
    stages = _by_name(read_values(path, _merge).get("stage", []), str(path))
    if not stages:
        raise UsageError(f"{path} has no stages; add [[stage]]")
    return next(iter(stages))


def _by_name(stages: Any, source: str) -> dict[str, dict[str, Any]]:
    """Raises UsageError for a stage without a name, a name twice, or what is no list of stages."""
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
    """A file's values over those of what it extends, tables, mixtures and stages each key by key."""
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
    """One stage by its kind. Raises UsageError."""
    name, kind = values["name"], values.get("kind")
    if kind not in KINDS:
        given = f"kind = {kind!r} is unknown" if kind is not None else "kind is missing"
        raise UsageError(f"{source}: {name}.{given}; {_near(str(kind), KINDS)}")
    return validate(values, KINDS[kind], source, overrides, prefix=f"{name}.")


def _with_parents(stages: Sequence[AnyStage], source: str) -> list[AnyStage]:
    """Every stage with `from` filled in, and its stages known. Raises UsageError."""
    names = [stage.name for stage in stages]
    found = []
    for number, stage in enumerate(stages):
        start = stage.start or (names[number - 1] if number and stage.kind != "pretrain" else "")
        if start and start not in names and not _is_path(start):
            raise UsageError(f"{source}: {stage.name}.from = {start!r} is no stage; {_near(start, names)}")
        if not start and stage.kind != "pretrain":
            raise UsageError(
                f"{source}: {stage.name} begins with no model; give it from = a stage or a model's folder, or --from"
            )
        for teacher in stage.teachers if isinstance(stage, DistillStage) else ():
            kind = next((other.kind for other in stages if other.name == teacher), None)
            if kind not in ("rl", None):
                raise UsageError(
                    f"{source}: {stage.name}.teachers.{teacher}: it is a stage of kind {kind}; teachers are of kind rl"
                )
            if kind is None:
                raise UsageError(
                    f"{source}: {stage.name}.teachers.{teacher}: there is no such stage; {_near(teacher, names)}"
                )
        found.append(stage.model_copy(update={"start": start}))
    return found


def _in_order(stages: Sequence[AnyStage], source: str) -> list[AnyStage]:
    """The stages as written, each moved behind what it needs. Raises UsageError for a circle."""
    waiting, done = list(stages), []
    while waiting:
        ready = next((s for s in waiting if not _needs(s, waiting)), None)
        if ready is None:
            circle = " <- ".join(f"{s.name}" for s in waiting)
            raise UsageError(
                f"{source}: these stages wait for each other: {circle}; change a from or a teacher"
            )
        done.append(ready)
        waiting.remove(ready)
    return done


def _needs(stage: AnyStage, among: Sequence[AnyStage]) -> set[str]:
    teachers = set(stage.teachers) if isinstance(stage, DistillStage) else set()
    return ({stage.start} | teachers) & {other.name for other in among}


def _is_path(start: str) -> bool:
    return os.sep in start or start.startswith((".", "~")) or Path(start).exists()


def _data_of(stage: Stage) -> dict[str, str]:
    """field -> mixture, of those that the stage reads."""
    if not isinstance(stage, SupervisedStage):
        return {}
    found = {"data": stage.data}
    if isinstance(stage, PretrainStage) and stage.extension_data:
        found["extension_data"] = stage.extension_data
    if isinstance(stage, DistillStage) and stage.follow_up_data:
        found["follow_up_data"] = stage.follow_up_data
    return found


def _near(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"


def _flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
