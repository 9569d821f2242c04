"""How options are read and shown: no `{None}|`, choices in one order, other servers' names beside ours."""

import importlib
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest
import tyro

from baleen.cli.main import COMMANDS, main
from baleen.cli.options import rules, with_model_positional


@dataclass(frozen=True)
class Options:
    """Some options."""

    size: int | None = None
    """A size; the machine's if not given."""

    kind: Literal["fp8", "bfloat16", "float32"] | None = None
    """A number format; the file's if not given."""

    named: Annotated[str | None, tyro.conf.arg(aliases=["--other-name"])] = None
    """A name."""


def parsed(*words: str) -> Options:
    with rules():
        return tyro.cli(Options, args=list(words))


def shown(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The help of a command in one line, without its frame."""
    assert main([*command.split(), "--help"]) == 0
    return " ".join(capsys.readouterr().out.replace("│", "").split())


def test_what_is_not_given_is_none() -> None:
    assert parsed() == Options()
    assert parsed("--size", "3", "--kind", "fp8", "--named", "None") == Options(3, "fp8", "None")


def test_bf16_is_bfloat16() -> None:
    assert parsed("--kind", "bf16") == parsed("--kind", "bfloat16") == Options(kind="bfloat16")
    with pytest.raises(SystemExit):
        parsed("--kind", "bf17")


@pytest.mark.parametrize(
    "command", [*sorted(set(COMMANDS) - {"synth", "agent"}), "synth code", "synth general", "agent run"]
)
def test_no_help_speaks_of_none(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(command, capsys)
    assert "usage: baleen" in text
    assert "None" not in text


def test_choices_are_listed_in_one_order() -> None:
    program = (
        "from baleen.cli.main import main\n"
        "try: main(['convert', 'a', 'b', '--to', 'int9'])\nexcept SystemExit: pass"
    )
    told = set()
    for seed in ("1", "2", "3"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            env={**__import__("os").environ, "PYTHONHASHSEED": seed},
        )
        told.add(done.stderr)
    assert len(told) == 1 and "'bfloat16', 'float32'" in told.pop().replace("│", "").replace("\n", "")


def test_the_operands_of_convert_have_names(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("convert", capsys)
    assert "[OPTIONS] SRC DST" in text and "{fp8,bfloat16,float32}" in text


@pytest.mark.parametrize(
    ("command", "ours", "theirs"),
    [
        ("serve", "--served-name", "--served-model-name"),
        ("serve", "--max-running", "--max-num-seqs"),
        ("serve", "--weights", "--dtype"),
        ("chat", "--weights", "--dtype"),
        ("bench", "--chunk", "--max-num-batched-tokens"),
        ("bench", "--weights", "--dtype"),
        ("eval", "--first", "--limit"),
        ("eval", "--concurrency", "--batch-size"),
        ("convert", "--to", "--dtype"),
        ("synth search", "--num-tasks", "--tasks"),
        ("synth general", "--tool-language", "--tools"),
    ],
)
def test_both_names_are_shown(
    command: str, ours: str, theirs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(command, capsys)
    assert f"{ours} " in text and f"{theirs} " in text


def test_both_names_of_an_option_are_read() -> None:
    from baleen.cli.serve import ServeOptions

    with rules():
        ours = tyro.cli(
            ServeOptions, args=["M", "--served-name", "x", "--max-running", "3", "--weights", "bf16"]
        )
        theirs = tyro.cli(
            ServeOptions, args=["M", "--served-model-name", "x", "--max-num-seqs", "3", "--dtype", "bfloat16"]
        )
    assert ours == theirs and ours.max_running == 3 and ours.weights == "bfloat16"


@pytest.mark.parametrize("command", ["serve", "chat"])
@pytest.mark.parametrize("words", [["--model", "nowhere"], ["--model=nowhere"], ["nowhere"]])
def test_the_folder_may_be_given_as_other_servers_do(
    command: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, *words, *(["--port", "0"] if command == "serve" else [])]) == 1
    assert "MODEL is 'nowhere', which does not exist" in capsys.readouterr().err


def test_only_the_folder_is_taken_from_the_words() -> None:
    words = ["--port", "1", "--model", "F", "--max-model-len", "9"]
    assert with_model_positional(words) == ["--port", "1", "F", "--max-model-len", "9"]
    assert with_model_positional(["--model"]) == ["--model"]


def test_every_command_is_a_module() -> None:
    assert all(hasattr(importlib.import_module(f"baleen.cli.{name}"), "main") for name in COMMANDS)
