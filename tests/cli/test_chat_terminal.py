"""`baleen chat` on a pseudo-terminal: its first lines, what is one question, what Ctrl-C does, where lines break."""

import json
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from baleen.chat import train_tokenizer

ROOT = Path(__file__).parent.parent.parent
SECONDS = 60  # a bound for what a busy machine may take, not a measurement
COLUMNS = 40
ANSWERED = "tokens in ("  # the line about the cost ends every answer
ANSWER = "= 13</think>13<｜end▁of▁sentence｜>"
CTRL_C, CTRL_D = "\x03", "\x04"


class Terminal:
    """A chat at the other end of a terminal.

    `shown` is all it has written, without control sequences; `marks_pastes` whether it asked for bracketed paste.
    """

    def __init__(self, words: list[str]) -> None:
        self._master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, COLUMNS))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.cli.scripted_chat", *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env=os.environ | {"TERM": "xterm", "COLUMNS": "", "LINES": ""},
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""
        self.marks_pastes = False
        self._seen = 0

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        """Ctrl-C once the process waits for a key: one before its wait is heard only with the next key."""
        deadline, before = time.monotonic() + SECONDS, ""
        while not before or self._switches() != before:
            assert time.monotonic() < deadline, "never waited"
            before = self._switches()
            time.sleep(0.2)
        self.type(CTRL_C)

    def _switches(self) -> str:
        """How often the process has gone to sleep so far, where it sleeps now."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        asleep = re.search(r"State:\s+S", status)
        return re.findall(r"voluntary_ctxt_switches:.*", status)[0] if asleep else ""

    def expect(self, text: str) -> None:
        """Wait until `text` appears behind what the last call waited for."""
        deadline = time.monotonic() + SECONDS
        while text not in self.shown[self._seen :]:
            assert time.monotonic() < deadline, f"no {text!r} in {self.shown[self._seen :]!r}"
            assert self._read(), f"ended without {text!r}: {self.shown[self._seen :]!r}"
        self._seen = self.shown.index(text, self._seen) + len(text)

    def ends(self) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + SECONDS
        while self._read():
            assert time.monotonic() < deadline, f"did not end: {self.shown[self._seen :]!r}"
        return self.process.wait(SECONDS)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def _read(self) -> bool:
        if not select.select([self._master], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other side is closed
            return False
        self.marks_pastes |= b"\x1b[?2004h" in data
        self.shown += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", data.decode())
        return bool(data)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    train_tokenizer(["Add 5+4+4. parameter name string result"] * 2, 300, folder)
    (folder / "config.json").write_text("{}")
    return folder


Start = Callable[..., Terminal]


@pytest.fixture
def start(model: Path, tmp_path: Path) -> Iterator[Start]:
    running: list[Terminal] = []

    def started(*completions: str, go: Path | None = None, seconds_per_step: float = 0.0) -> Terminal:
        script: dict[str, Any] = {
            "completions": completions or (ANSWER,),
            "seconds_per_step": seconds_per_step,
            "prompts": str(tmp_path / "prompts"),
            "go": go and str(go),
        }
        (tmp_path / "script.json").write_text(json.dumps(script))
        running.append(Terminal([str(tmp_path / "script.json"), str(model)]))
        return running[-1]

    yield started
    for terminal in running:
        terminal.close()


@pytest.fixture
def questions(tmp_path: Path) -> Callable[[], list[str]]:
    """The questions that reached the model, each the last of its prompt."""

    def asked() -> list[str]:
        path = tmp_path / "prompts"
        prompts = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [prompt.rpartition("<｜User｜>")[2].partition("<｜Assistant｜>")[0] for prompt in prompts]

    return asked


def ask(terminal: Terminal, question: str) -> None:
    terminal.expect("> ")
    terminal.type(question + "\r")
    terminal.expect(ANSWERED)


def test_it_says_what_it_is_before_it_loads(start: Start, tmp_path: Path) -> None:
    terminal = start(go=tmp_path / "go")
    terminal.expect("/help lists the commands")
    terminal.expect("loading")
    (tmp_path / "go").touch()
    ask(terminal, "Add 5+4+4.")
    assert "torch was imported" not in terminal.shown
    terminal.expect("> ")
    terminal.type("/exit\r")
    assert terminal.ends() == 0


@pytest.mark.parametrize("marked", [True, False])
def test_a_paste_is_one_question(start: Start, questions: Callable[[], list[str]], marked: bool) -> None:
    terminal = start()
    terminal.expect("> ")
    if marked:
        assert terminal.marks_pastes
        terminal.type("\x1b[200~line one\rline two\r\x1b[201~\r")
    else:
        terminal.type("line one\rline two\r")
    terminal.expect(ANSWERED)
    ask(terminal, "then this")
    assert questions() == ["line one\nline two", "then this"]


def test_ctrl_c_after_an_answer_is_not_the_end(start: Start, questions: Callable[[], list[str]]) -> None:
    terminal = start()
    ask(terminal, "first")
    terminal.expect("> ")
    terminal.interrupt()
    terminal.expect("Ctrl-C again")
    ask(terminal, "second")
    terminal.expect("> ")
    terminal.interrupt()
    terminal.expect("Ctrl-C again")
    terminal.expect("> ")
    terminal.type("half a question")
    terminal.expect("half a question")
    terminal.interrupt()  # clears the line, and counts for nothing
    terminal.expect("> ")
    terminal.interrupt()
    terminal.expect("Ctrl-C again")
    assert questions() == ["first", "second"]
    terminal.expect("> ")
    terminal.interrupt()
    assert terminal.ends() == 0


def test_ctrl_c_stops_an_answer(start: Start) -> None:
    terminal = start("</think>" + "word " * 900, ANSWER, seconds_per_step=0.01)
    terminal.expect("> ")
    terminal.type("first\r")
    terminal.expect("word word")
    terminal.type(CTRL_C)
    terminal.expect("stopped; this question is forgotten")
    ask(terminal, "second")
    terminal.expect("> ")
    terminal.type(CTRL_D)
    assert terminal.ends() == 0


def test_lines_break_between_words_only(start: Start) -> None:
    thought = "some words of many lengths for a thought that is longer than one line of this terminal"
    answer = "and an answer which is also considerably longer than the forty columns that there are"
    terminal = start(f"{thought}</think>{answer}<｜end▁of▁sentence｜>")
    ask(terminal, "question")
    lines = terminal.shown.partition("question\n")[2].splitlines()
    assert all(len(line) <= COLUMNS for line in lines)
    text = "\n".join(line.rstrip() for line in lines)
    assert f"{thought} {answer}" in " ".join(text.split())
    assert text.replace("\n", " ").index(answer) == text.index("and an"), "the answer begins on its own line"


def test_a_paste_is_one_question_without_readline(monkeypatch: pytest.MonkeyPatch) -> None:
    from baleen.cli import chat_input

    master, slave = pty.openpty()
    with os.fdopen(slave, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(chat_input, "readline", None)
        monkeypatch.setattr("builtins.input", lambda prompt="": stdin.readline().rstrip("\n"))
        typed = chat_input.TypedInput()
        os.write(master, b"line one\nline two\n")
        assert typed.read() == "line one\nline two"
    os.close(master)
