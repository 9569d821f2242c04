"""A recipe as a list of stages: what a file may say, what it takes over, and what is refused by name."""

from pathlib import Path

import pytest

from baleen.config import UsageError
from baleen.config.recipe import Recipe, first_stage, load_recipe
from baleen.config.shipped import find_recipe
from baleen.config.toml_file import dump_toml

MINE = """
extends = "tiny"
drop = ["speciale"]

[data.chat]
follow_ups = 0.1

[[stage]]
name = "specialist_copy"
kind = "rl"
from = "specialist_tool"
tasks.lookup = { difficulties = [3] }
steps = 5

[[stage]]
name = "distill"
from = "specialist_math"
teachers = { specialist_logic = 9, specialist_copy = 3 }
"""


def loaded(tmp_path: Path, text: str, **overrides: object) -> Recipe:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return load_recipe(path, overrides)


def test_toml_alone_adds_a_stage_drops_one_and_changes_a_parent(tmp_path: Path) -> None:
    mine, ours = loaded(tmp_path, MINE), load_recipe(find_recipe("tiny"))
    assert mine.names == [
        *("pretrain", "dsa_warmup", "dsa_sparse", "sft"),
        *("specialist_math", "specialist_logic", "specialist_tool", "specialist_copy", "distill", "mixed"),
    ]
    assert mine.parent("specialist_copy") == "specialist_tool" and mine.parent("mixed") == "distill"
    assert mine.needs("distill") == ["specialist_math", "specialist_logic", "specialist_copy"]
    assert mine.stage("distill").steps == ours.stage("distill").steps
    assert mine.data["chat"].follow_ups == 0.1 and mine.data["chat"].tasks == ours.data["chat"].tasks
    assert mine.data["base"] == ours.data["base"]


def test_a_resolved_recipe_is_read_back_as_it_is(tmp_path: Path) -> None:
    mine = loaded(tmp_path, MINE)
    assert loaded(tmp_path, dump_toml(mine)) == mine


def test_the_last_stage_leaves_the_model_where_none_says_so(tmp_path: Path) -> None:
    retrofit = load_recipe(find_recipe("retrofit"), {"warmup.from": "./model"})
    assert [stage.save_as for stage in retrofit.stages] == ["", "model"]
    assert retrofit.parent("warmup") is None and retrofit.needs("sparse") == ["warmup"]
    assert first_stage(find_recipe("retrofit")) == "warmup"


def test_overrides_reach_stages_by_name_and_the_rest_by_key(tmp_path: Path) -> None:
    changed = load_recipe(find_recipe("tiny"), {"sft.steps": 3, "data.chat.follow_ups": 0.2, "seed": 4})
    assert (changed.stage("sft").steps, changed.data["chat"].follow_ups, changed.seed) == (3, 0.2, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[stage]]\nname = "mixed"\nfrom = "speciale"\n', ["wait for each other", "mixed", "speciale"]),
        (
            '[[stage]]\nname = "sft"\nfrom = "dsa_spars"\n',
            ["sft.from = 'dsa_spars'", "did you mean dsa_sparse?"],
        ),
        ('[[stage]]\nname = "sft"\n[[stage]]\nname = "sft"\n', ["two stages have the name 'sft'"]),
        ('[[stage]]\nname = "new"\nkind = "dpo"\nsteps = 1\n', ["new.kind = 'dpo' is unknown", "rl"]),
        ('[[stage]]\nname = "new"\nsteps = 1\n', ["new.kind is missing"]),
        ("[[stage]]\nsteps = 1\n", ["1. [[stage]] has no name"]),
        ("stage = 3\n", ["write [[stage]]"]),
        ('[[stage]]\nname = "sft"\nstepz = 1\n', ["unknown key sft.stepz; did you mean sft.steps?"]),
        ('[[stage]]\nname = "sft"\nsteps = 0\n', ["sft.steps = 0"]),
        ('[[stage]]\nname = "sft"\ndata = "chatt"\n', ["sft.data = 'chatt'", "base, long, chat, distill"]),
        ('[[stage]]\nname = "distill"\nteachers = { sft = 3 }\n', ["distill.teachers.sft", "of kind rl"]),
        ('[[stage]]\nname = "sft"\nsave_as = "model"\n', ["the same save_as"]),
        ('drop = ["speciall"]\n', ["drop has 'speciall'", "did you mean speciale?"]),
        ('drop = ["specialist_math"]\n', ["distill.teachers.specialist_math", "no such stage"]),
        ("[data.chat]\ntext_shar = 1\n", ["data.chat.text_shar", "did you mean data.chat.text_share?"]),
    ],
)
def test_what_cannot_be_is_one_line_that_names_it(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        loaded(tmp_path, f'extends = "tiny"\n{text}')
    told = str(caught.value)
    assert "\n" not in told and all(word in told for word in words), told
