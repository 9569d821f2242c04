"""The page of trajectories: everything of an episode is on it, nothing in it is markup, it filters without a script."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from baleen.agent import ChatPlayer, ContextManagement, Limits, Reply, Trajectory, play
from baleen.agent.records import NAME, Episode
from baleen.chat import Message
from baleen.config.errors import UserError
from baleen.report import trajectories
from baleen.report.task_titles import title_of
from baleen.report.trajectories import write_page
from tests.agent.worlds import BROKEN, Model, Watched, answer, look, task_named, unreachable
from tests.report.test_report_in_browser import chromium, visit

__all__ = ["chromium"]  # a fixture

LONG = "I weigh every side of it. " * 20


def played(name: str, script: Callable[[int], Message | Reply], limits: Limits | None = None) -> Trajectory:
    world = Watched(task_named(name), {"step": BROKEN} if name == "broken" else {})
    management = ContextManagement("discard-all", 300) if name == "long" else None
    limits = limits or Limits(6, 10_000)
    return asyncio.run(play(ChatPlayer(Model(script)), world, limits, management))


def write_run(folder: Path) -> Path:
    folder.mkdir()
    turns = {
        "right": lambda n: answer("right") if n else look("<b>a</b>", "b", thought=LONG),
        "mistaken": lambda n: answer("<script>alert(1)</script>"),
        "cut": lambda n: Reply(answer("half a th"), "length", 10, 0, 3),
        "endless": lambda n: look("x"),
        "broken": lambda n: look("x"),
        "silent": unreachable,
        "long": lambda n: Reply(answer("long") if n > 3 else look("y"), "stop", 250 + n, 0, 9, 0.5),
    }
    episodes = [Episode(played(name, script), 0, "a <model>") for name, script in turns.items()]
    lines = [json.dumps(episode.to_row()) + "\n" for episode in episodes]
    (folder / NAME).write_text("".join(lines), encoding="utf-8")
    return folder


def test_a_text_of_several_lines_stands_below_its_name() -> None:
    shown = trajectories._arguments(json.dumps({"path": "a.py", "old": "    if x:\n        y", "first": 3}))
    assert shown == "path: a.py\nold:\n    if x:\n        y\nfirst: 3"


def test_all_of_an_episode_is_on_the_page(tmp_path: Path) -> None:
    text = write_page(write_run(tmp_path / "run")).read_text(encoding="utf-8")
    for outcome in ("solved", "wrong", "out of tokens", "out of turns", "tool failed", "policy failed"):
        assert f'<b class="outcome">{outcome}</b>' in text
    assert "thinks: I weigh every side" in text and "at: &lt;b&gt;a&lt;/b&gt;" in text
    assert "<pre>1.0</pre>" in text and "<pre>1.1</pre>" in text  # both results
    assert "half a th" in text and "the sandbox did not start" in text and "nobody there" in text
    assert "the prompt starts afresh" in text and "discard-all above 80%" in text
    assert "<em>not run</em>" in text
    assert "<script" not in text and "a &lt;model&gt;" in text
    assert "content=\"default-src 'none'" in text


def test_episodes_are_listed_by_question_and_kind(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run")
    task = task_named("right")
    row = task.to_row() | {"family": "release", "difficulty": 2, "data": {"package": "attrs"}}
    (run / "tasks.jsonl").write_text(json.dumps(row) + "\n")
    text = write_page(run).read_text(encoding="utf-8")
    listed = re.findall(r'<span class="task" title="([^"]*)">(.*?)</span>', text)
    shown = dict(listed)
    assert f"{task.question} <i>attrs · release d2</i>" in shown[task.id]
    assert all(title != words for title, words in listed)
    (run / "tasks.jsonl").write_text('{"id": 1}\n')
    with pytest.raises(UserError, match="tasks.jsonl holds something that is no task"):
        write_page(run)


def test_a_long_question_is_cut_and_a_missing_one_is_the_id() -> None:
    said = played("right", lambda n: answer("right"))
    long = replace(said, messages=({"role": "user", "content": "why\n  so long " * 40},))
    assert len(title_of(long, {}).question) <= 141 and title_of(long, {}).question.startswith(
        "why so long why"
    )
    assert title_of(replace(said, messages=()), {}).question == said.task_id


def test_rewards_tokens_and_dollars_are_summed(tmp_path: Path) -> None:
    text = write_page(write_run(tmp_path / "run")).read_text(encoding="utf-8")
    assert "7 episodes of 7 tasks" in text
    assert ">0.400<" in text  # 2 of the 5 that count
    assert "$2.60" in text  # 5 answers of 0.5 $ and 10 of 0.01 $


def test_a_long_run_shows_of_each_outcome_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trajectories, "MOST_EPISODES", 4)
    right = played("right", lambda n: answer("right"))
    wrong = played("right", lambda n: answer("x"))
    rows = [Episode(right if k < 9 else wrong, k).to_row() for k in range(15)]
    (tmp_path / NAME).write_text("".join(json.dumps(row) + "\n" for row in rows))
    text = write_page(tmp_path).read_text()
    assert len(re.findall(r'<details class="episode solved">', text)) == 2
    assert len(re.findall(r'<details class="episode wrong">', text)) == 2
    assert "4 of 15 episodes are shown" in text and "solved <i>9</i>" in text


@pytest.mark.browser
def test_it_asks_for_nothing_and_filters(chromium: str, tmp_path: Path) -> None:  # noqa: F811
    page = write_page(write_run(tmp_path / "run"))
    seen = visit(chromium, page, tmp_path)
    assert seen.requests == [] and seen.console == [] and 'class="episode solved"' in seen.dom
    # A copy with a script that counts what is shown, all and after a click.
    text = re.sub(r"<meta http-equiv[^>]*>", "", page.read_text(encoding="utf-8"))
    count = "[...document.querySelectorAll('.episode')].filter(e => e.offsetHeight).length"
    click = "document.querySelector('label[for=f-solved]').click()"
    excess = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    told = f"const n = {count}; {click}; document.title = [n, {count}, {excess}]"
    script = f"<script>onload = () => {{ {told} }}</script>"
    copy = tmp_path / "copy.html"
    copy.write_text(text.replace("</body>", f"{script}</body>"), encoding="utf-8")
    assert "<title>7,2,0</title>" in visit(chromium, copy, tmp_path).dom
