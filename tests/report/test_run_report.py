"""The report of a made-up run: what it says, what it admits, what it refuses."""

import base64
import hashlib
import json
import re
from pathlib import Path

import pytest

from baleen.cli.main import main
from baleen.config.errors import UserError
from baleen.evaluation.intervals import Interval
from baleen.report import effects, story
from baleen.report.formats import change, duration, figures, percent, points, short, times
from baleen.report.run_data import read_run
from baleen.report.run_report import CONTENTS, render, write_report
from baleen.report.tables import outcome_shares, sample_cards
from tests.report import synthetic_run
from tests.report.synthetic_run import write_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run(tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def text_of(page: str) -> str:
    """What a person reads: no tags, no style sheet, one space between words."""
    bare = re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", bare)


def test_the_stages_are_those_of_the_made_up_run(folder: Path) -> None:
    assert tuple(read_run(folder).titles) == synthetic_run.STAGES


def test_it_tells_the_whole_story(folder: Path, page: str) -> None:
    text = text_of(page)
    assert "from random weights to Speciale in 8 min" in text
    assert "All 14 checks passed" in text
    for title in read_run(folder).titles.values():
        assert title in text
    assert page.count('<div class="wide"><svg') == page.count('<div class="narrow"><svg') == 10
    assert "pending" not in re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)
    assert "Compute 47*83+256." in text and "calculate 3901+256" in text
    assert "seed 0" in text and "2.13.0+cpu" in text and "length_penalty = 0.4" in text


def test_it_is_one_file_that_asks_for_nothing(page: str) -> None:
    # what a browser fetches by itself; the links to the run's files it follows on a click only
    outside = re.findall(
        r"""(?:src|action|srcset)\s*=\s*["'](?!data:)[^"']*|<link[^>]*href="(?!data:)""", page
    )
    assert not outside
    assert "@import" not in page and not re.search(r"url\((?!#)", page)
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; img-src data:" in page
    )


def test_the_contents_and_the_links_to_the_data_lead_somewhere(folder: Path, page: str) -> None:
    nav = re.search(r"<nav.*?</nav>", page, flags=re.DOTALL)
    assert nav is not None
    listed = re.findall(r'href="#([^"]+)"', nav.group())
    assert listed == list(CONTENTS) == re.findall(r'<section id="([^"]+)"', page)
    linked = re.findall(r'<a href="([^#"][^"]*)"', page)
    assert {"resolved.toml", "metrics.jsonl", "cost.json", "selection.json", "stages/sft.json"} <= set(linked)
    assert all((folder / path).exists() for path in linked)


def test_ids_are_unique_and_references_lead_somewhere(page: str) -> None:
    ids = re.findall(r'\sid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r"""(?:href="|url\()#([^")]+)""", page)) <= set(ids)


def test_the_same_run_gives_the_same_page(folder: Path, page: str) -> None:
    assert render(read_run(folder)) == page


@pytest.mark.parametrize("finished", [0, 2, 7])
def test_stages_that_have_not_run_are_said_to_be_missing(tmp_path: Path, finished: int) -> None:
    stages = synthetic_run.STAGES[:finished]
    text = text_of(write_report(write_run(tmp_path / "run", stages)).read_text(encoding="utf-8"))
    assert f"{finished} of 10 stages" in text
    assert ("has not finished" in text) and ("“Speciale” has not finished" in text)
    assert ("“Pre-training” has not finished" in text) == (finished == 0)


def test_a_stage_in_progress_shows_its_curve_and_is_not_finished(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["pretrain"])
    (run / "stages" / "pretrain.json").unlink()
    with open(run / "metrics.jsonl", "a") as file:
        file.write('{"stage": "pretrain", "st')  # a line that is being written
    text = text_of(write_report(run).read_text(encoding="utf-8"))
    assert "not finished 1,300" in text


def test_a_failed_check_is_the_verdict(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", state="failed"))
    assert story.verdict(run) == ("failed", "1 of 14 checks failed")
    text = text_of(render(run))
    assert "✗ 1 of 14 checks failed" in text and text.count("✗ failed") == 1


def test_an_uncertain_check_is_no_failure_and_says_what_would_decide_it(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "run", state="uncertain"))
    assert story.verdict(run) == ("uncertain", "no check failed, 1 of 14 uncertain")
    text = text_of(render(run))
    assert "≈ No check failed, 1 of 14 uncertain" in text and "✗ failed" not in text
    assert "0.01 (-0.04 to 0.06)" in text.replace("\u2212", "-")
    assert "≈ uncertain 6,400 held-out items instead of 256 would decide." in text


def test_a_run_that_is_not_judged_says_so(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    for path in (run / "stages").iterdir():
        path.write_text(json.dumps(json.loads(path.read_text()) | {"checks": []}))
    assert story.verdict(read_run(run)) == ("passed", "finished, not judged")


def test_text_from_the_run_cannot_become_markup(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["pretrain", "sft", "mixed"])
    evil = "<script>alert(1)</script>"
    for stage in ("sft", "mixed"):
        path = run / "stages" / f"{stage}.json"
        values = json.loads(path.read_text())
        values["samples"][0] |= {"prompt": evil, "completion": f"Thought: {evil}\nAnswer: </p>{evil}"}
        values["evals"][0]["family"] = evil
        values["checks"] = [
            {"name": evil, "estimate": 1, "bound": 1, "relation": evil, "state": "failed", "hint": evil}
        ]
        path.write_text(json.dumps(values))
    page = write_report(run).read_text(encoding="utf-8")
    assert "<script>alert" not in page and "&lt;script&gt;" in page


def test_numbers_that_are_not_known_are_dashes(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["pretrain"])
    path = run / "stages" / "pretrain.json"
    values = json.loads(path.read_text())
    values["checks"][0] |= {"estimate": None, "state": "failed"}
    values["bits_per_byte"] = None
    path.write_text(json.dumps(values))
    (run / "environment.json").unlink()
    text = text_of(write_report(run).read_text(encoding="utf-8"))
    assert "– ≤ 2.6 ✗ failed" in text


def test_the_headline_is_the_time_with_the_indexer(folder: Path) -> None:
    """At the last position: 0.5 + 0.004 x 4096 dense, 0.55 + 0.004 x 32 + 0.0013 x 4096 DSA, of which the indexer is
    the last term; without it the ratio would be 27."""
    shown = {tile.label: tile.value for tile in story.tiles(read_run(folder))}
    (label,) = [label for label in shown if "indexer included" in label]
    assert "4,096 tokens into the context" in label
    assert float(shown[label].rstrip("×")) == pytest.approx(16.9 / 6.0, abs=0.1)


def test_every_ratio_has_an_interval(folder: Path, page: str) -> None:
    text = text_of(page)
    for words in (
        r"dense attention takes {ratio} the time of DSA",
        r"the whole step {ratio}",
        r"dense attention’s time grows {ratio}, DSA’s {ratio}",
        r"told what to read, DSA’s time grows {ratio}",
        r"differs from dense attention’s by {change} on real text and by {change} on tasks",
        r"With a random indexer it is {ratio} and {ratio} as high",
        r"Mathematics \d+ % → \d+ %, {points} points; Logic .*?, {points} points; Tool use .*?, {points} points",
        r"Speciale solves \d+ % instead of \d+ %: {points} points",
        r"It thinks \d+ tokens instead of \d+, {ratio} as long",
    ):
        pattern = words.format(
            ratio=r"[\d.,]+× \([\d.,]+ to [\d.,]+\)",
            change=r"[+−][\d.]+ % \([+−][\d.]+ to [+−][\d.]+\)",
            points=r"[+−]\d+ \([+−]\d+ to [+−]\d+\)",
        )
        assert re.search(pattern, text), words
    # no number of times stands without one, but for the fair shares of the experts, which are counts
    told = re.sub(r"<svg.*?</svg>|<title>.*?</title>", "", page, flags=re.DOTALL)
    bare = [m.group() for m in re.finditer(r"[\d.]+×(?! \()", text_of(told))]
    tiles = [tile.value for tile in story.tiles(read_run(folder)) if "(" in tile.label]
    assert all(value in tiles for value in bare)
    assert all(" to " in tile.label for tile in story.tiles(read_run(folder)) if "log-prob" not in tile.label)


def test_effects_are_computed_from_the_run(folder: Path) -> None:
    run = read_run(folder)
    text, tasks = effects.attention_losses(run)
    assert (text.kind, text.dense, text.sparse, text.random) == ("Real text", 2.31, 2.333, 6.35)
    assert text.sparse_over_dense.estimate == pytest.approx(2.333 / 2.31, rel=1e-2)
    assert text.sparse_over_dense.low < text.sparse_over_dense.estimate < text.sparse_over_dense.high
    hard = effects.speciale_effect(run)
    assert hard is not None
    assert hard.before.n == 4 * 64  # sum d5, reverse d7, sort d7, program d4
    assert hard.rise.estimate == pytest.approx(hard.after.accuracy.estimate - hard.before.accuracy.estimate)
    assert hard.tokens_ratio.estimate == pytest.approx(
        hard.after.think_tokens / hard.before.think_tokens, rel=0.02
    )
    rise = effects.specialist_rise(run, "math")
    before, after = (
        [r for r in effects.rows_of(run, stage, "math") if not r.hard] for stage in ("sft", "specialist_math")
    )
    assert rise is not None
    for told, rows in ((rise.before, before), (rise.after, after)):
        assert told == pytest.approx(sum(row.correct for row in rows) / sum(row.n for row in rows))
    stages, table = story.task_table(run, "thinking")
    assert stages == list(synthetic_run.SKILL)
    assert table[0].is_total and table[0].cells["sft"].accuracy.estimate == pytest.approx(rise.before)


def test_samples_differ_by_a_rule_and_their_rates_are_told(folder: Path, page: str) -> None:
    run = read_run(folder)
    cards = sample_cards(run)
    assert [(card.domain, card.outcome) for card in cards] == [
        ("math", "wrong, then right"),
        ("math", "right both times"),
        ("logic", "right, then wrong"),
        ("tool", "wrong, then right"),
    ]
    assert cards[1].prompt == "Add 1+2+3+4."  # not another sum of three, which came first
    assert [stage for stage, _, _ in cards[3].attempts] == ["SFT", "Tool specialist", "Mixed RL", "Speciale"]
    assert cards[3].attempts[1][1][:2] == [("thought", "= 47*83"), ("call", "calculate 47*83")]
    shares = outcome_shares(run)
    assert [domain for domain, _, _ in shares] == ["Mathematics", "Logic", "Tool use"]
    assert all(sum(found.values()) == pytest.approx(1) for _, _, found in shares)
    first, last = (run.stages[s].answers for s in ("sft", "speciale"))
    gained = [
        b["correct"] and not a["correct"] for a, b in zip(first, last, strict=True) if a["domain"] == "math"
    ]
    assert shares[0][2]["wrong, then right"] == pytest.approx(sum(gained) / len(gained))
    assert f"{100 * shares[0][2]['wrong, then right']:.0f} %" in text_of(page)


def test_numbers_for_people() -> None:
    plain = [duration(s).replace("\u00a0", " ") for s in (0, 0.031, 9.96, 59.4, 59.6, 245, 3599.6, 7380)]
    assert plain == [
        "0.0 s",
        "0.03 s",
        "10 s",
        "59 s",
        "1 min 00 s",
        "4 min 05 s",
        "1 h 00 min",
        "2 h 03 min",
    ]
    assert [short(n) for n in (0, 12, 999.6, 1234, 4.2e6, 671e9)] == [
        "0",
        "12",
        "1K",
        "1.23K",
        "4.2M",
        "671B",
    ]
    assert figures(3.17e-6, 2).replace("\u202f", " ") == "3.2 × 10⁻⁶"
    assert [figures(n) for n in (0, 0.8971, 1234.4, float("nan"))] == ["0", "0.897", "1,230", "–"]
    assert percent(0.125) == "12\u00a0%"
    ratios = [Interval(1.0, 0.996, 1.004), Interval(2.72, 2.5, 3.0), Interval(154, 17, 1190)]
    assert list(map(times, ratios)) == ["1.00× (1.00 to 1.00)", "2.7× (2.5 to 3.0)", "154× (17 to 1,190)"]
    assert points(Interval(0.12, -0.002, 0.2)) == "+12 (+0 to +20)"
    assert change(Interval(0.993, 0.9, 1.02)) == "−0.7\u00a0% (−10.0 to +2.0)"


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda run: (run / "resolved.toml").unlink(), "holds no run"),
        (lambda run: (run / "stages" / "sft.json").write_text("{"), "sft.json is not valid JSON"),
        (lambda run: (run / "stages" / "sft.json").write_text('{"checks": [{}]}'), "run the stage again"),
        (lambda run: (run / "selection.json").write_text('{"documents": [{}]}'), "selection.json is damaged"),
        (lambda run: (run / "metrics.jsonl").write_text("nonsense\n"), "metrics.jsonl, line 1"),
        (lambda run: (run / "resolved.toml").write_text("= 1"), "resolved.toml is not valid TOML"),
    ],
)
def test_a_damaged_folder_is_one_clear_line(tmp_path: Path, break_it, message: str) -> None:  # type: ignore[no-untyped-def]
    run = write_run(tmp_path / "run", ["pretrain", "sft"])
    break_it(run)
    with pytest.raises(UserError, match=re.escape(message)):
        write_report(run)
    assert not (run / "report.html").exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run", ["pretrain"])
    assert main(["report", str(run)]) == 0
    out, err = capsys.readouterr()
    assert out == f"wrote {run / 'report.html'}\n" and not err
    assert main(["report", str(tmp_path)]) == 1
    assert main(["report", str(tmp_path / "nothing")]) == 1
    out, err = capsys.readouterr()
    assert not out and len(err.splitlines()) == 2 and "give the folder of a run" in err
    assert main(["report"]) == 2
