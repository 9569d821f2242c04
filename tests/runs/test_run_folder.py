"""A run's folder: resumed by the same configuration only, held by one process, never half-written."""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pydantic import BaseModel

from baleen.config.errors import UsageError, UserError
from baleen.runs.files import write_atomic, write_json
from baleen.runs.run_folder import RunFolder


class Stage(BaseModel):
    steps: int = 3
    name: str | None = None


class Config(BaseModel):
    seed: int = 1
    pretrain: Stage = Stage()


def folder(path: Path, config: BaseModel | None = None) -> RunFolder:
    return RunFolder(path, config or Config(), seed=1, threads=1)


def test_a_new_run_and_its_resumption(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "a"
    with folder(path) as run:
        assert not run.resumed and run.checkpoints.is_dir() and run.stages.is_dir()
        run.log_metrics("pretrain", 1, loss=2.5, tokens_per_s=10)
    with folder(path) as run:
        assert run.resumed
        assert run.metrics() == [{"stage": "pretrain", "step": 1, "loss": 2.5, "tokens_per_s": 10}]
    environment = json.loads((path / "environment.json").read_text())
    assert environment["seed"] == 1 and environment["threads"] == 1 and environment["packages"]["torch"]
    assert "earlier" not in environment  # the second session was like the first
    assert not list(path.glob("*.partial")) and not list(path.glob(".*.partial"))


def test_another_session_keeps_the_facts_of_the_earlier_one(tmp_path: Path) -> None:
    for threads in (1, 2):
        RunFolder(tmp_path / "a", Config(), seed=1, threads=threads).close()
    environment = json.loads((tmp_path / "a" / "environment.json").read_text())
    assert environment["threads"] == 2
    assert [one["threads"] for one in environment["earlier"]] == [1]


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (Config(pretrain=Stage(steps=4)), "pretrain.steps = 3 and now has 4"),
        (Config(pretrain=Stage(name="x")), "pretrain.name = 'unset' and now has 'x'"),
        (Stage(steps=3), "steps = 'unset' and now has 3"),
    ],
)
def test_a_different_configuration_is_refused_by_name(tmp_path: Path, config: BaseModel, key: str) -> None:
    folder(tmp_path / "a").close()
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.is_file()}
    with pytest.raises(UsageError, match="--out") as caught:
        folder(tmp_path / "a", config)
    assert key in str(caught.value)
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir() if path.is_file()}
    folder(tmp_path / "a").close()  # the refusal let go of the lock


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with folder(tmp_path / "a"), pytest.raises(UserError, match=f"in use by process {os.getpid()}"):
        folder(tmp_path / "a")
    folder(tmp_path / "a").close()


def test_a_killed_process_lets_go_of_the_run(tmp_path: Path) -> None:
    program = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_run_folder import folder
        run = folder(Path({str(tmp_path / "a")!r}))
        run.log_metrics("pretrain", 1, loss=2.0)
        run._metrics.write('{{"stage": "pre'); run._metrics.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    with folder(tmp_path / "a") as run:
        assert run.resumed
        assert [line["step"] for line in run.metrics()] == [1]  # the torn line is gone
        run.log_metrics("pretrain", 2, loss=1.0)
        assert [line["step"] for line in run.metrics()] == [1, 2]


def test_truncation_drops_only_what_will_be_logged_again(tmp_path: Path) -> None:
    with folder(tmp_path / "a") as run:
        for stage in ("pretrain", "sft"):
            for step in (1, 2, 3):
                run.log_metrics(stage, step, loss=1.0)
        run.truncate_metrics("sft", 1)
        run.log_metrics("sft", 2, loss=9.0)
        lines = [(line["stage"], line["step"], line["loss"]) for line in run.metrics()]
    assert lines == [("pretrain", 1, 1), ("pretrain", 2, 1), ("pretrain", 3, 1), ("sft", 1, 1), ("sft", 2, 9)]


def test_a_damaged_line_of_the_metrics_ends_the_run_before_it_begins(tmp_path: Path) -> None:
    with folder(tmp_path / "a") as run:
        for step in (1, 2):
            run.log_metrics("pretrain", step, loss=1.0)
    path = tmp_path / "a" / "metrics.jsonl"
    path.write_text(path.read_text().replace('"step": 1', '"st": 1'))
    with pytest.raises(UserError, match=r"metrics\.jsonl, line 1 is damaged; delete that line"):
        folder(tmp_path / "a")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))  # the remedy helps
    with folder(tmp_path / "a") as run:
        assert [line["step"] for line in run.metrics()] == [2]


def test_metrics_are_strict_json(tmp_path: Path) -> None:
    with folder(tmp_path / "a") as run:
        run.log_metrics("pretrain", 1, loss=float("nan"), lr=float("inf"), n=2)
    assert (tmp_path / "a" / "metrics.jsonl").read_text() == (
        '{"stage": "pretrain", "step": 1, "loss": null, "lr": null, "n": 2}\n'
    )


def test_stage_results(tmp_path: Path) -> None:
    with folder(tmp_path / "a") as run:
        assert run.read_stage("sft") is None
        run.write_stage("sft", {"seconds": 1.5})
        assert run.read_stage("sft") == {"seconds": 1.5}
        (run.stages / "sft.json").write_text("{")
        with pytest.raises(UserError, match=r"sft\.json is damaged"):
            run.read_stage("sft")


def test_log_lines_cannot_be_forged(tmp_path: Path) -> None:
    with folder(tmp_path / "a") as run:
        run.log("one\n2026-01-01 00:00:00 two\r")
    lines = (tmp_path / "a" / "log.txt").read_text().splitlines()
    assert len(lines) == 2 and lines[1].endswith("one\\n2026-01-01 00:00:00 two\\r")


def test_a_bug_leaves_its_traceback_and_says_where(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError) as caught, folder(tmp_path / "a"):
        raise RuntimeError("boom")
    assert str(tmp_path / "a" / "log.txt") in caught.value.__notes__[0]
    assert "RuntimeError: boom" in (tmp_path / "a" / "log.txt").read_text()


def test_an_interrupt_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt) as caught, folder(tmp_path / "a"):
        raise KeyboardInterrupt
    assert "same command" in caught.value.__notes__[0]


def test_a_path_that_is_a_file_or_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        folder(tmp_path / "f")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("mine")
    with pytest.raises(UsageError, match="holds 'cat.png' but no run"):
        folder(tmp_path / "photos")
    (tmp_path / "empty").mkdir()
    folder(tmp_path / "empty").close()


@pytest.mark.parametrize("name", ["resolved.toml", "environment.json", "stages"])
def test_nothing_is_left_when_the_disk_is_full(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system call that makes `name` fails as on a full disk; the folder was new, so it is gone again."""
    real_open, real_mkdir = open, Path.mkdir

    def full(path: object) -> None:
        if str(path).endswith((name, f".{name}.partial")):
            raise OSError(28, "No space left on device", str(path))

    def fake_open(path: str, *rest: object, **more: object) -> object:
        full(path)
        return real_open(path, *rest, **more)  # type: ignore

    def fake_mkdir(self: Path, *rest: object, **more: object) -> None:
        full(self)
        real_mkdir(self, *rest, **more)  # type: ignore

    monkeypatch.setattr("builtins.open", fake_open)
    monkeypatch.setattr(Path, "mkdir", fake_mkdir)
    with pytest.raises(OSError, match="No space left"):
        folder(tmp_path / "runs" / "a")
    assert not list(tmp_path.iterdir())


def test_a_write_that_does_not_fit_keeps_the_old_file(tmp_path: Path) -> None:
    """A real limit of the kernel: files of this process may not grow past 4 KiB."""
    path = tmp_path / "stage.json"
    write_json(path, {"good": 1})
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match=r"stage\.json"):
            write_atomic(path, "x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert json.loads(path.read_text()) == {"good": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["stage.json"]


def test_the_lock_is_the_systems(tmp_path: Path) -> None:
    with folder(tmp_path / "a"), open(tmp_path / "a" / ".lock") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
