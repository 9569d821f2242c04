"""Recipes that ship are found by name wherever Baleen is installed, and a path stays a path."""

from pathlib import Path

import pytest

import baleen
from baleen.config import UsageError
from baleen.config.recipe import load_recipe
from baleen.config.shipped import find_recipe, shipped


def test_they_lie_in_the_package() -> None:
    assert {"tiny", "smoke", "general", "retrofit", "rl", "rl_general"} <= set(shipped())
    assert all(find_recipe(name).is_relative_to(Path(baleen.__file__).parent) for name in shipped())


def test_whole_ones_are_valid() -> None:
    assert load_recipe(find_recipe("tiny")).preset == "tiny"
    assert load_recipe(find_recipe("general")).vocab_size == 2048
    assert load_recipe(find_recipe("smoke")).names == load_recipe(find_recipe("tiny")).names
    for name, first in (("rl", "rl"), ("rl_general", "rl"), ("retrofit", "warmup")):
        assert load_recipe(find_recipe(name), {f"{first}.from": "./m"}).stages[0].start == "./m"


def test_a_path_is_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").write_text("")
    for given in ("mine", "mine.toml", "recipes/tiny.toml", "./tiny"):
        assert find_recipe(given).resolve() == (tmp_path / given).resolve()
    assert find_recipe("other.toml", Path("/folder")) == Path("/folder/other.toml")


def test_a_name_that_is_none() -> None:
    with pytest.raises(UsageError, match="no recipe 'genral'; did you mean general.*retrofit, rl, .*tiny"):
        find_recipe("genral")
    with pytest.raises(UsageError, match="recipes/tiny.toml does not exist; .* tiny"):
        load_recipe(Path("recipes/tiny.toml"))


def test_one_of_ours_can_be_extended_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('extends = "tiny"\n[[stage]]\nname = "sft"\nsteps = 7\n')
    mine, ours = load_recipe(tmp_path / "mine.toml"), load_recipe(find_recipe("tiny"))
    assert mine.stage("sft").steps == 7 and mine.stage("pretrain") == ours.stage("pretrain")
