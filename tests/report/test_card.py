"""The dataset card: its numbers are the journal's, and nothing in a task can break or leave the page."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from baleen.environments import Task
from baleen.report.card import bars, write_card
from baleen.synthesis import Verdict

TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}},
}


def task(number: int, difficulty: int, question: str = "What?") -> Task:
    messages = (
        {"role": "system", "content": "", "tools": [TOOL]},
        {"role": "user", "content": question},
    )
    split = "train" if number % 2 else "heldout"
    return Task(
        f"t{number}", "general", "shop", difficulty, split, messages, f"answer {number}", {"n": number}
    )


def write(folder: Path, verdicts: list[Verdict]) -> str:
    return write_card(folder, {"kind": "general", "seed": 3}, verdicts).read_text(encoding="utf-8")


def test_counts_yields_reasons_and_costs_are_those_of_the_journal(tmp_path: Path) -> None:
    verdicts = [
        Verdict(f"k{i}", "shops", (task(i, 1 + i % 3), task(100 + i, 1)), seconds=2.0, facts={"tables": i})
        for i in range(5)
    ]
    verdicts += [
        Verdict(
            f"r{i}", "banks", reason="no solution", detail=f"why {i}", seconds=1.0, usage={"dollars": 0.5}
        )
        for i in range(7)
    ]
    page = write(tmp_path, verdicts)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    assert "10 kept" in text and "12 candidates were judged, 5 of them kept (42 %)" in text
    assert "5 heldout" in text.replace("10 tasks: ", "") or "heldout" in text
    assert "$3.50" in text
    assert "banks 7 0 0 % 0 1.00 7 no solution" in text
    assert "shops 5 5 100 % 10 2.00" in text
    assert "why 3" in text and "why 4" not in text  # a few details of each reason
    assert "tables median 2, from 0 to 4" in text
    assert page.count('<article class="card">') == 6
    assert "look()" in text and "answer 100" in text


def test_examples_are_of_many_families_and_difficulties(tmp_path: Path) -> None:
    tasks = [
        replace(task(100 * (f + 1) + d, d), family=f"family{f}")
        for f in range(7)
        for d in (1, 2, 3)
        for _ in range(2)
    ]
    page = write(tmp_path, [Verdict("k", "all", tuple(tasks))])
    shown = re.findall(r"answer (\d)0(\d)", page)
    assert len({family for family, _ in shown}) == 6 and {level for _, level in shown} == {"1", "2", "3"}


def test_settings_that_were_not_given_are_left_out(tmp_path: Path) -> None:
    settings = {"kind": "code", "model": "", "repo": [], "base_url": None, "seed": 0, "model_issues": False}
    page = write_card(tmp_path, settings, []).read_text()
    assert "<dt>seed</dt><dd>0</dd>" in page and "<dt>model issues</dt><dd>no</dd>" in page
    assert not any(f"<dt>{name}</dt>" in page for name in ("model", "repo", "base url"))


def test_the_histogram_has_a_bar_for_each_difficulty() -> None:
    found = bars({3: 1, 1: 4})
    assert [(bar.label, bar.count, bar.share) for bar in found] == [("1", 4, 1.0), ("3", 1, 0.25)]


def test_text_of_a_task_stays_text_and_nothing_is_fetched(tmp_path: Path) -> None:
    hostile = '<script>alert(1)</script> <img src="http://example.org/x"> {{ 7 * 7 }}'
    rejected = Verdict("r<b>", "g<i>", reason="why <u>", detail="<script>x</script>")
    page = write(tmp_path, [Verdict("k", "g<i>", (task(1, 1, hostile),)), rejected])
    assert "<script" not in page and "<img" not in page and "<u>" not in page
    assert "{{ 7 * 7 }}" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page


def test_long_texts_are_cut_and_say_so(tmp_path: Path) -> None:
    page = write(tmp_path, [Verdict("k", "g", (task(1, 1, "word " * 5000),))])
    assert "more characters)" in page
    assert len(page) < 60_000


@pytest.mark.parametrize("verdicts", [[], [Verdict("r", "g", reason="none fits")]])
def test_a_run_that_kept_nothing_has_a_card_too(tmp_path: Path, verdicts: list[Verdict]) -> None:
    assert "0 kept" in write(tmp_path, verdicts)
