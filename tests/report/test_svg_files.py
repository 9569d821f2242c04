"""Figures that are files of their own: a title with the model's name, axes that can be read with one point too."""

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from baleen.config import ModelConfig
from baleen.report.bench_plots import speeds
from baleen.report.context_strategies import accuracy_over_steps
from baleen.report.cost_plots import planned
from baleen.report.theme import Plot, standalone


def bench(*measurements: tuple[str, float]) -> Plot:
    rows = [
        {"engine": "baleen", "measurement": name, "at": 1024, "median": value, "roofline_share": 0.97}
        | {"values": [value * 0.995, value, value * 1.004]}
        for name, value in measurements
    ]
    return speeds({"model": "m", "measurements": rows})


def strategies() -> Plot:
    row: dict[str, Any] = {"strategy": "none", "curve": [[3, 0.5]], "branches": 4, "attempts": 4}
    return accuracy_over_steps([row | {"accuracy": 0.5, "low": 0.1, "high": 0.9, "steps": 3}])


def test_the_title_is_above_the_figure_and_in_the_file() -> None:
    plot = planned(ModelConfig.preset("tiny"), 512)
    text = standalone(plot, "What a token of <tiny> costs")
    root = ElementTree.fromstring(text)
    title = root.find("{http://www.w3.org/2000/svg}title")
    assert title is not None and title.text == "What a token of <tiny> costs"
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    inside = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', plot.wide)
    assert inside is not None
    assert (left, width, height) == (0, float(inside[1]), pytest.approx(float(inside[2]) - top))
    heading = next(e for e in root if e.tag.endswith("}text"))
    assert heading.text == title.text and top < float(heading.attrib["y"]) < 0
    assert float(root.attrib["height"]) / float(root.attrib["width"]) == pytest.approx(
        height / width, rel=0.01
    )


@pytest.mark.parametrize("speed", [99.0, 400.0, 4100.0])
def test_one_measurement_has_axes(speed: float) -> None:
    """Axes that hug a single point have no round number to show."""
    plot = bench(("decode", speed))
    numbers = [n for n in re.findall(r"<text[^>]*>([\d,]+)<", plot.wide) if n != "1K"]
    assert len(numbers) >= 3 and "Prefill" not in plot.wide
    assert (
        min(float(n.replace(",", "")) for n in numbers)
        < speed
        < max(float(n.replace(",", "")) for n in numbers)
    )


def test_one_point_of_a_strategy_has_whole_steps() -> None:
    ticks = re.findall(r"<text[^>]*>([\d.]+)<", strategies().wide)
    assert ticks == ["0", "1", "2", "3"]
