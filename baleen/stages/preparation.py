"""Prepare a run: load its recipe with all changes, check inputs and stages, create a fork."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baleen.config.errors import UsageError
from baleen.config.recipe import Recipe, first_stage, load_recipe
from baleen.config.shipped import find_recipe
from baleen.stages.fork import Source, make_fork
from baleen.stages.inputs import Inputs, checked_inputs


@dataclass(frozen=True)
class Preparation:
    """A run that has passed all checks; nothing has been written yet.

    stages: names of the stages to run. source: the run to fork, if any.
    """

    out: Path
    recipe: Recipe
    inputs: Inputs
    stages: list[str]
    source: Source | None

    def make_folder(self) -> list[str]:
        """Create the folder of a new fork, with the stages that it shares.

        Returns:
            The names of the shared stages, none if this is no fork or it was created before.

        Raises:
            UsageError: a stage depends on one that is neither finished nor to be run, or the folder is taken.
            UserError: the forked run is damaged.
        """
        is_new = not (self.out / "resolved.toml").exists()
        shared = self.source.shared(self.recipe) if self.source and is_new else []
        finished = shared or [name for name in self.recipe.names if self._has_finished(name)]
        if lack := self.recipe.missing(self.stages, finished):
            stage, read = lack
            raise UsageError(
                f"--stages has {stage}, which needs {read}, and that has not finished in {self.out}; "
                "add it to --stages"
            )
        if self.source and shared:
            make_fork(self.source, self.recipe, shared, self.out)
        return shared

    def _has_finished(self, stage: str) -> bool:
        return (self.out / "stages" / f"{stage}.json").exists()


def prepare(
    out: Path,
    recipe: str | None = None,
    start: str | None = None,
    stages: str = "all",
    changes: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Preparation:
    """Load and check everything that a run needs.

    Args:
        out: the folder of the run.
        recipe: a .toml file or the name of a recipe that ships; by default that of the forked run, else `tiny`.
        start: what to start from: another run, as RUN or RUN:STAGE, or a model folder.
        stages: names of the stages to run, separated by commas, or "all".
        changes: values of the recipe to change, by their dotted names.
        settings: further changes, which override `changes` and `start`.

    Raises:
        UsageError, UserError: the run cannot work.
    """
    starts_from_model = start is not None and (Path(start) / "config.json").exists()
    source = None if start is None or starts_from_model else _source(start, out)
    usual = source.folder / "resolved.toml" if source else find_recipe("tiny")
    path = find_recipe(recipe) if recipe else usual
    changed = dict(changes or {})
    if start is not None and starts_from_model:
        changed[f"{first_stage(path)}.from"] = str(Path(start).absolute())
    loaded = load_recipe(path, changed | dict(settings or {}))
    names = loaded.names if stages == "all" else [name.strip() for name in stages.split(",")]
    return check_run(out, loaded, names, source)


def check_run(out: Path, recipe: Recipe, stages: Sequence[str], source: Source | None = None) -> Preparation:
    """Check the inputs of a recipe and the names of the stages to run. Raises UsageError, UserError."""
    inputs = checked_inputs(recipe)
    for name in stages:
        if name not in recipe.names:
            raise UsageError(f"--stages has {name!r}; known: {', '.join(recipe.names)}")
    return Preparation(out, recipe, inputs, [name for name in recipe.names if name in stages], source)


def _source(start: str, out: Path) -> Source:
    source = Source.parse(start)
    if source.folder.resolve() == out.resolve():
        raise UsageError(f"--from {start} stays as it is; give the new run another folder with --out")
    return source
