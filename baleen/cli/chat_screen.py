"""The two ways `baleen chat` shows a conversation: on a terminal with rich, and as plain text in a pipe."""

import sys
from typing import TextIO

from rich.console import Console

from baleen.cli.chat_session import Screen
from baleen.cli.chat_wrap import WordWrap

_SAFE = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}


def printable(text: str) -> str:
    """Text without control characters: a model must not move the cursor or rename the window."""
    return text.translate(_SAFE)


class TerminalScreen(Screen):
    """Streams with colours: thinking dimmed, tools in colour, notices in yellow. Lines break between words."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open: str | None = None  # the style of the text whose line is not ended yet
        self._wrap = WordWrap()

    def reasoning(self, text: str) -> None:
        self._write(text, "dim italic")

    def content(self, text: str) -> None:
        self._write(text, "")

    def tool_call(self, name: str, arguments: str) -> None:
        self._line(f"  {name} {arguments}", "cyan")

    def tool_result(self, text: str) -> None:
        self._line(f"  → {text}", "green")

    def notice(self, text: str) -> None:
        self._line(text, "yellow")

    def cost(self, text: str) -> None:
        self._line(text, "dim")

    def _write(self, text: str, style: str) -> None:
        if not text:
            return
        if self._open != style:
            self._end_line()
        self._open = style
        self._print(self._wrap.push(printable(text), self._console.width), style)

    def _line(self, text: str, style: str) -> None:
        self._end_line()
        self._console.print(printable(text), style=style, markup=False, highlight=False)

    def _end_line(self) -> None:
        if self._open is not None:
            self._print(self._wrap.finish(self._console.width) + "\n", self._open)
        self._open = None

    def _print(self, text: str, style: str) -> None:
        # soft_wrap: the lines are broken already
        self._console.print(text, style=style, end="", markup=False, highlight=False, soft_wrap=True)


class PlainScreen(Screen):
    """The answer on stdout; thinking, tools and costs on stderr, so that a pipe carries answers only."""

    def __init__(self, out: TextIO | None = None, aside: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._aside = aside or sys.stderr
        self._open: TextIO | None = None

    def reasoning(self, text: str) -> None:
        if text and self._open is not self._aside:
            self._end_line()
            self._aside.write("thinking: ")
        self._write(self._aside, text)

    def content(self, text: str) -> None:
        if text and self._open is not self._out:
            self._end_line()
        self._write(self._out, text)

    def tool_call(self, name: str, arguments: str) -> None:
        self._line(f"call: {name} {arguments}")

    def tool_result(self, text: str) -> None:
        self._line(f"result: {text}")

    def notice(self, text: str) -> None:
        self._line(f"note: {text}")

    def cost(self, text: str) -> None:
        self._line(f"cost: {text}")

    def _write(self, stream: TextIO, text: str) -> None:
        if text:
            self._open = stream
            stream.write(printable(text))
            stream.flush()

    def _line(self, text: str) -> None:
        self._end_line()
        self._aside.write(printable(text) + "\n")
        self._aside.flush()

    def _end_line(self) -> None:
        if self._open is not None:
            self._open.write("\n")
            self._open.flush()
        self._open = None
