"""Smoothing that knows only what came before, and the steps where pre-training changes its data."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from baleen.report import curves
from baleen.report.recipe_facts import data_changes
from baleen.report.run_data import read_run
from tests.report.synthetic_run import write_run


class Losses:
    """A run with one scalar."""

    def __init__(self, values: list[float]):
        self.values = values

    def curve(self, stage: str, name: str) -> tuple[list[int], list[float]]:
        return list(range(len(self.values))), self.values


def drawn(values: list[float], breaks: tuple[int, ...] = ()) -> list[tuple[np.ndarray, np.ndarray]]:
    axes = Figure().subplots()
    curves.curve(axes, Losses(values), "pretrain", "loss", "#000000", breaks=breaks)  # type: ignore[arg-type]
    return [line.get_data() for line in axes.lines]


def test_a_later_value_leaves_earlier_points_alone() -> None:
    values = list(np.random.default_rng(0).normal(size=1000))
    changed_at = 703  # inside a bin
    changed = [*values[:changed_at], values[changed_at] + 50, *values[changed_at + 1 :]]
    for (x, y), (_, other) in zip(drawn(values), drawn(changed), strict=True):
        earlier = x < changed_at
        assert np.array_equal(y[earlier], other[earlier]) and not np.array_equal(y, other)


def test_the_trailing_mean() -> None:
    assert curves.trailing_mean(np.array([1.0, 3.0, 5.0, 10.0, 20.0]), 2).tolist() == [
        1.0,
        3.0,
        5.0,
        7.5,
        15.0,
    ]


def test_a_jump_stays_a_jump_where_the_data_changes() -> None:
    values = [1.0] * 300 + [2.0] * 100
    _, before, after = drawn(values, breaks=(300,))
    assert before[0].max() < 300 <= after[0].min()
    assert set(before[1]) == {1.0} and set(after[1]) == {2.0}


def test_the_context_extension_is_marked(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["pretrain"])
    recipe = read_run(run).recipe
    assert data_changes(recipe, "pretrain") == [(1000, "512 tokens, 25% real text")]
    copying = recipe.stage("pretrain").model_copy(update={"copy_steps": 200})
    changed = recipe.model_copy(update={"stages": (copying, *recipe.stages[1:])})
    assert data_changes(changed, "pretrain")[0] == (200, "copying ends")
    assert data_changes(recipe, "sft") == []
