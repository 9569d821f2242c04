"""TOML in, records out: every mistake is one sentence that names the file, the key and the way out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from baleen.config.errors import UsageError
from baleen.config.toml_file import (
    dump_toml,
    flatten,
    merged,
    parse_settings,
    read_values,
    set_value,
    validate,
)


class Stage(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    steps: int = Field(default=10, gt=0)
    lr: float = Field(default=0.1, gt=0)
    domains: tuple[str, ...] = ("math",)
    note: str | None = None


Record = TypeVar("Record", bound=BaseModel)


class Recipe(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    seed: int = 0
    pretrain: Stage = Stage()
    specialists: dict[str, Stage] = {}

    @model_validator(mode="after")
    def _even(self) -> "Recipe":
        if self.seed % 2:
            raise ValueError(f"seed={self.seed} is odd; choose an even one")
        return self


def load_toml(path: Path, model: type[Record], overrides: Mapping[str, object] | None = None) -> Record:
    values = read_values(path, merged)
    for key, value in (overrides or {}).items():
        set_value(values, key, value)
    return validate(values, model, str(path), overrides or {})


def load(tmp_path: Path, text: str, **overrides: object) -> Recipe:
    path = tmp_path / "tiny.toml"
    path.write_text(text)
    return load_toml(path, Recipe, overrides)


def test_a_recipe_is_read(tmp_path: Path) -> None:
    recipe = load(tmp_path, 'name = "tiny"\n[pretrain]\nsteps = 3\n[specialists.math]\nlr = 0.5\n')
    assert recipe.pretrain.steps == 3 and recipe.specialists["math"].lr == 0.5 and recipe.seed == 0


def test_overrides_come_last_and_reach_into_tables(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text('name = "tiny"\n[pretrain]\nsteps = 3\n')
    recipe = load_toml(path, Recipe, {"pretrain.steps": 5, "seed": 2, "specialists.tool.lr": 0.25})
    assert (recipe.pretrain.steps, recipe.seed, recipe.specialists["tool"].lr) == (5, 2, 0.25)
    with pytest.raises(UsageError, match=r"^override: pretrain\.steps = -1"):
        load_toml(path, Recipe, {"pretrain.steps": -1})
    with pytest.raises(UsageError, match="name is a value, not a table"):
        load_toml(path, Recipe, {"name.x": 1})


def test_settings_of_the_command_line_are_toml(tmp_path: Path) -> None:
    found = parse_settings(
        ["pretrain.steps=5", "specialists.math.domains = ['a', 'b']", "name=a word", "seed=-2"]
    )
    assert found == {
        "pretrain.steps": 5,
        "specialists.math.domains": ["a", "b"],
        "name": "a word",
        "seed": -2,
    }
    (tmp_path / "r.toml").write_text('name = "tiny"\n')
    recipe = load_toml(tmp_path / "r.toml", Recipe, found)
    assert recipe.specialists["math"].domains == ("a", "b") and recipe.name == "a word"
    for setting, told in (
        ("pretrain.stepz=5", "override: unknown key pretrain.stepz; did you mean pretrain.steps?"),
        ("pretrian.steps=5", "override: unknown key pretrian; did you mean pretrain?"),
        ("pretrain.steps=9O", "override: pretrain.steps = '9O': input should be a valid integer"),
    ):
        with pytest.raises(UsageError) as caught:
            load_toml(tmp_path / "r.toml", Recipe, parse_settings([setting]))
        assert told in str(caught.value)
    for setting in ("pretrain.steps", "=5", "pretrain.steps=", "pretrain..steps=5"):
        with pytest.raises(UsageError, match="write stage.key=value"):
            parse_settings([setting])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "a"\nsed = 2', "tiny.toml: unknown key sed; did you mean seed?"),
        ('name = "a"\n[pretrain]\nstepz = 2', "unknown key pretrain.stepz; did you mean pretrain.steps?"),
        ('name = "a"\n[specialists.math]\nstep = 2', "did you mean specialists.math.steps?"),
        ('name = "a"\nqqq = 2', "unknown key qqq; known: name, pretrain, seed, specialists"),
        ('name = "a"\n[pretrain]\nsteps = 0', "pretrain.steps = 0: input should be greater than 0"),
        ('name = "a"\n[pretrain]\nsteps = "x"', "pretrain.steps = 'x': input should be a valid integer"),
        ("seed = 2", "name is missing; add it"),
        ('name = "a"\nseed = 3', "tiny.toml: seed=3 is odd; choose an even one"),
        ('name = "a"\nsed = 2\nsoed = 3', "(and 1 more)"),
        ('name = "a', "is not valid TOML"),
        # a misspelt key comes before those that are missing
        ("[pretrain]\nstepz = 2", "unknown key pretrain.stepz; did you mean pretrain.steps? (and 1 more)"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert told in message and "tiny.toml" in message and "\n" not in message
    assert caught.value.exit_code == 2


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist"):
        load_toml(tmp_path / "no.toml", Recipe)
    with pytest.raises(UsageError, match="is a folder"):
        load_toml(tmp_path, Recipe)
    (tmp_path / "b.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_toml(tmp_path / "b.toml", Recipe)


@given(
    st.builds(
        Recipe,
        name=st.text(st.characters(exclude_categories=["Cs"])),
        seed=st.integers(-(2**31), 2**31).map(lambda n: n * 2),
        pretrain=st.builds(
            Stage,
            steps=st.integers(1, 10**9),
            lr=st.floats(1e-12, 1e12),
            domains=st.lists(st.text(st.characters(exclude_categories=["Cs"]))).map(tuple),
            note=st.none() | st.just("x"),
        ),
        specialists=st.dictionaries(st.sampled_from(["math", "a b", "ü"]), st.builds(Stage)),
    )
)
def test_what_is_dumped_is_read_back(tmp_path_factory: pytest.TempPathFactory, recipe: Recipe) -> None:
    path = tmp_path_factory.mktemp("recipe") / "r.toml"
    path.write_text(dump_toml(recipe), encoding="utf-8")
    assert load_toml(path, Recipe) == recipe


def test_flatten() -> None:
    assert flatten({"a": {"b": 1, "c": {"d": [2]}}, "e": 3}) == {"a.b": 1, "a.c.d": [2], "e": 3}


def test_a_recipe_may_extend_another(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text("a = 1\n[section]\nkept = 2\nchanged = { x = 1, y = 2 }\n")
    (tmp_path / "own.toml").write_text('extends = "base.toml"\nb = 3\n[section]\nchanged = { x = 9 }\n')

    class Section(BaseModel):
        kept: int
        changed: dict[str, int]

    class Whole(BaseModel):
        a: int
        b: int
        section: Section

    whole = load_toml(tmp_path / "own.toml", Whole)
    assert whole.model_dump() == {"a": 1, "b": 3, "section": {"kept": 2, "changed": {"x": 9}}}
    (tmp_path / "base.toml").write_text('extends = "own.toml"\n')
    with pytest.raises(UsageError, match="extend each other"):
        load_toml(tmp_path / "own.toml", Whole)
    (tmp_path / "base.toml").write_text("extends = 5\n")
    with pytest.raises(UsageError, match="extends = 5"):
        load_toml(tmp_path / "own.toml", Whole)
