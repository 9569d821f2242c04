"""Every way a command can end: exit code, one clear line, and `--help` without torch."""

import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from baleen.cli import main as dispatcher
from baleen.cli.main import COMMANDS, guarded, main
from baleen.config.errors import UsageError, UserError
from baleen.installation import install_command
from baleen.runs.clean_stop import Stopped


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {name}" in out for name in COMMANDS)


def test_no_command_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage: baleen" in capsys.readouterr().out


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom baleen.cli.main import main\nmain(['--help'])\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'rich', 'fastapi', 'tyro'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_unknown_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quikstart"]) == 2
    assert capsys.readouterr().err == (
        "baleen: error: there is no command 'quikstart'; did you mean `baleen quickstart`?\n"
    )
    assert main(["zzzz"]) == 2
    assert "baleen --help" in capsys.readouterr().err


def test_a_command_gets_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[str] = []

    class Module:
        @staticmethod
        def main(argv: list[str]) -> int:
            given.extend(argv)
            return 7

    monkeypatch.setattr(dispatcher.importlib, "import_module", lambda name: Module)
    assert main(["--debug", "doctor", "--json", "x"]) == 7
    assert given == ["--json", "x"]


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (UserError("the page is missing; add it"), 1, "baleen: error: the page is missing; add it\n"),
        (UsageError("no such flag"), 2, "baleen: error: no such flag\n"),
        (SystemExit(2), 2, ""),
        (SystemExit(None), 0, ""),
        (SystemExit("out of luck"), 1, "baleen: out of luck\n"),
        (KeyboardInterrupt(), 130, "baleen: interrupted\n"),
        (Stopped(143), 143, "baleen: interrupted\n"),
    ],
)
def test_endings(error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(error)) == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EROFS, "writable disk"),
        (errno.EACCES, "permissions"),
        (errno.EADDRINUSE, "--port"),
    ],
)
def test_system_errors_are_one_line_with_a_remedy(
    number: int, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    import os

    assert guarded(raising(OSError(number, os.strerror(number), "/data/run"))) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "/data/run: " in err and remedy in err and "Traceback" not in err


def test_a_missing_package_is_named_with_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(ModuleNotFoundError("No module named 'rich.x'", name="rich.x"))) == 1
    err = capsys.readouterr().err
    assert "the package rich is missing" in err and install_command() in err and "bug" not in err
    assert guarded(raising(ModuleNotFoundError("No module named 'baleen.x'", name="baleen.x"))) == 1
    assert "bug in Baleen" in capsys.readouterr().err


def test_windows_is_told_before_anything_is_imported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert main(["doctor"]) == 1
    assert "WSL" in capsys.readouterr().err


def test_a_bug_is_short_unless_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(raising(RuntimeError("first\nsecond"))) == 1
    err = capsys.readouterr().err
    assert "RuntimeError: first\n" in err and "second" not in err and "BALEEN_DEBUG=1" in err
    assert guarded(raising(RuntimeError("first")), debug=True) == 1
    assert "Traceback" in capsys.readouterr().err


def test_notes_of_an_error_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    error = RuntimeError("boom")
    error.add_note("the traceback is in log.txt")
    assert guarded(raising(error)) == 1
    assert capsys.readouterr().err.endswith("baleen: the traceback is in log.txt\n")


def test_a_reader_that_goes_away_is_no_error() -> None:
    """`baleen --help | true`, with the pipe closed before anything is written."""
    program = "import sys, time\nfrom baleen.cli.main import guarded, main\nsys.stdin.read()\n"
    program += "sys.exit(guarded(lambda: main(['--help'])))"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == ""
    assert process.wait(timeout=60) == 1


def test_python_dash_m_works() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "baleen.cli.main", "--version"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )
    assert done.returncode == 0 and done.stdout.startswith("baleen ")
