"""The view of a run: plain lines where nobody watches, a live view on a terminal, and honest estimates."""

import io

import pytest
from rich.console import Console

from baleen.cli.progress import BARS, PLAIN_SECONDS, Progress, duration, sparkline


class Clock:
    """Seconds that pass only when told."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def plain() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=60, force_terminal=False), out


def terminal() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(
        file=out, width=100, height=30, force_terminal=True, _environ={"TERM": "xterm-256color"}
    ), out


def test_plain_lines_are_limited_by_time() -> None:
    clock, (console, out) = Clock(), plain()
    with Progress(["pretrain"], console, clock=clock) as progress:
        progress.start_stage("pretrain", 100)
        for step in range(1, 101):
            clock.now += 1
            progress.update(step, loss=1 / step, tokens_per_s=2000)
        progress.finish_stage(True, "loss 0.01")
    lines = out.getvalue().splitlines()
    updates = [line for line in lines if "step " in line]
    assert len(updates) <= 100 / PLAIN_SECONDS + 2
    assert "step 100/100" in updates[-1] and "loss 0.01" in updates[-1] and "2,000 tokens/s" in updates[-1]
    assert lines[-1] == "[pretrain] done in 1:40; loss 0.01"
    assert "\x1b" not in out.getvalue()


def test_long_lines_and_markup_are_left_alone() -> None:
    console, out = plain()
    text = "[bold]not markup[/bold] " + "x" * 100
    with Progress(["a"], console) as progress:
        progress.message(text)
    assert out.getvalue() == text + "\n"


def test_a_terminal_shows_all_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, (console, out) = Clock(), terminal()
    with Progress(["pretrain", "sft", "distill", "mixed"], console, clock=clock) as progress:
        progress.skip_stage("pretrain")
        progress.start_stage("sft", 10)
        for step in range(1, 6):
            clock.now += 1
            progress.update(step, loss=5.0 - step)
        progress.finish_stage(False, "format 0.5, failed")
        progress.start_stage("distill", 1)
        progress.finish_stage(None, "lag -0.08, uncertain")
    text = out.getvalue()
    assert "✓ pretrain" in text and "✗ sft" in text and "≈ distill" in text and "· mixed" in text
    assert "format 0.5, failed" in text and "step 3/10" in text and BARS[-1] in text and "MiB" in text


def test_no_color_means_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console, out = terminal()
    with Progress(["a"], console) as progress:
        progress.start_stage("a", 1)
        progress.update(1, reward=0.5)
        progress.finish_stage(True)
    assert "\x1b[2K" not in out.getvalue() and "[a] step 1/1" in out.getvalue()


def test_redrawing_is_limited() -> None:
    clock, (console, out) = Clock(), terminal()
    with Progress(["a"], console, clock=clock) as progress:
        progress.start_stage("a", 10_000)
        drawn = len(out.getvalue())
        for step in range(1000):
            clock.now += 0.0001
            progress.update(step, loss=1.0)
        assert len(out.getvalue()) == drawn


def test_time_left_uses_the_weights_and_this_sessions_speed() -> None:
    clock, (console, _) = Clock(), plain()
    with Progress(["a", "b", "c"], console, weights={"a": 1, "b": 2, "c": 1}, clock=clock) as progress:
        progress.start_stage("a", 10)
        assert progress.seconds_left() == (None, None)
        for step in range(11):
            progress.update(step, loss=1.0)
            clock.now += 1
        clock.now -= 1
        progress.finish_stage(True)
        progress.start_stage("b", 100)  # resumed: its first step of this session is 50
        progress.update(50, loss=1.0)
        clock.now += 5
        progress.update(75, loss=1.0)
        stage, overall = progress.seconds_left()
    assert stage == pytest.approx(5.0)
    # "a" and "b", weight 3, will have taken 20 s; "c", weight 1, is ahead
    assert overall == pytest.approx(5.0 + 20 / 3)


def test_skipped_stages_tell_nothing_about_speed() -> None:
    clock, (console, _) = Clock(), plain()
    with Progress(["a", "b", "c"], console, weights={"a": 1000}, clock=clock) as progress:
        progress.skip_stage("a")
        progress.start_stage("b", 10)
        progress.update(0, loss=1.0)
        clock.now += 1
        progress.update(1, loss=1.0)
        # "c" weighs what "b" does, so it will take the same 10 s
        assert progress.seconds_left() == (pytest.approx(9), pytest.approx(19))


def test_an_error_ends_the_live_view() -> None:
    console, out = terminal()
    with pytest.raises(KeyboardInterrupt), Progress(["a"], console):
        raise KeyboardInterrupt
    assert "\x1b[?25h" in out.getvalue()  # the cursor is back


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([1.0], "▁"), ([1, 1, 1], "▁▁▁"), ([0, 1], "▁█"), ([float("nan"), 0, 1, float("inf")], "▁█")],
)
def test_sparkline(values: list[float], bars: str) -> None:
    assert sparkline(values) == bars


def test_sparkline_averages_to_fit() -> None:
    assert sparkline([0.0, 2.0, 10.0, 12.0], width=2) == "▁█"
    assert len(sparkline([float(i) for i in range(997)], width=40)) == 40


def test_duration() -> None:
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3661)] == ["0:00", "1:00", "1:01", "1:01:01"]
