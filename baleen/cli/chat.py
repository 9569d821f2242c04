"""`baleen chat MODEL`: a conversation in the terminal, or through a pipe."""

import difflib
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from baleen.cli.loading import ComputeOptions
from baleen.cli.options import with_model_positional
from baleen.config import UsageError, UserError
from baleen.runs.model_folder import model_folder

if TYPE_CHECKING:
    from baleen.cli.chat_session import ChatSession, Screen, Spent

COMMANDS = {
    "/tools": "give the model the calculator and the look-up, or take them away",
    "/thinking": "let the model think before it answers, or not",
    "/reset": "forget the conversation",
    "/help": "show this",
    "/exit": "quit; so do Ctrl-D, and Ctrl-C twice at an empty prompt",
}
HELP = "\n".join(
    [
        *(f"{name:<10} {what}" for name, what in COMMANDS.items()),
        "Ctrl-C stops an answer. A paste is one question, however many lines it has.",
    ]
)
BANNER = "Enter asks, Ctrl-C stops an answer, /help lists the commands, /exit quits"


@dataclass(frozen=True)
class ChatOptions(ComputeOptions):
    """Talk to a model in the terminal; with a pipe as input, one question per line."""

    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Model folder (config.json, safetensors, tokenizer.json) or the folder of a finished run."""

    once: str | None = None
    """Ask this one question and exit."""

    thinking: bool = True
    """Whether the model thinks before it answers."""

    tools: bool = False
    """Whether the model has the built-in tools: calculate(expression) and lookup(key)."""

    store: str = "chat"
    """Name of the data that `lookup` reads: every name is another store."""

    temperature: float = 0.0
    """0 takes the likeliest token; above 0 draws at random, more evenly the higher."""

    top_p: float = 1.0
    """Draw among the likeliest tokens that together have this probability."""

    max_tokens: int = 1024
    """Longest answer in tokens, thinking included."""

    seed: int | None = None
    """Makes random draws repeatable."""


def main(argv: Sequence[str]) -> int:
    """Run the command. Returns 0, or 130 after Ctrl-C with `--once`. Raises UserError, OSError."""
    options = tyro.cli(ChatOptions, args=with_model_positional(argv), prog="baleen chat")
    _check(options)
    model_folder(options.model)  # a wrong path is told before anything is loaded
    if isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # what is not UTF-8 becomes U+FFFD
    from rich.console import Console

    console = Console()
    on_terminal = options.once is None and sys.stdin.isatty() and console.is_terminal
    if on_terminal:  # at once: what follows imports torch and loads the model, which takes seconds
        console.print(f"Baleen: a chat with {options.model}", style="bold", markup=False, highlight=False)
        console.print(BANNER, "loading the model ...", sep="\n", style="dim", markup=False, highlight=False)
    from baleen.cli.chat_screen import PlainScreen, TerminalScreen

    screen = TerminalScreen(console) if console.is_terminal else PlainScreen()
    session = _session(options, screen)
    if options.once is not None:
        _show_cost(screen, session.ask(options.once, screen).spent)
    elif on_terminal:
        _talk(session, screen)
    else:
        for line in sys.stdin:
            if not _take(session, screen, line):
                break
    return 0


def _check(options: ChatOptions) -> None:
    if options.max_tokens < 1:
        raise UsageError(f"--max-tokens is {options.max_tokens}; it must be 1 or more")
    if not 0 <= options.temperature <= 2:
        raise UsageError(f"--temperature is {options.temperature}; it must be from 0 to 2")
    if not 0 < options.top_p <= 1:
        raise UsageError(f"--top-p is {options.top_p}; it must be above 0 and at most 1")
    if options.threads < 1:
        raise UsageError(f"--threads is {options.threads}; it must be 1 or more")


def _session(options: ChatOptions, screen: "Screen") -> "ChatSession":
    from baleen.cli.chat_session import ChatSession, builtin_world
    from baleen.cli.loading import load
    from baleen.config.engine import SamplingParams

    loaded = load(options.model, max_running=1, max_model_len=None, compute=options)
    if options.max_tokens > loaded.max_model_len:
        screen.notice(
            f"--max-tokens is {options.max_tokens}; answers end where this model's context of "
            f"{loaded.max_model_len} tokens is full"
        )
    params = SamplingParams(
        max_tokens=options.max_tokens, temperature=options.temperature, top_p=options.top_p, seed=options.seed
    )
    return ChatSession(
        loaded.engine,
        loaded.tokenizer,
        builtin_world(options.store),
        loaded.max_model_len,
        params,
        thinking=options.thinking,
        tools=options.tools,
    )


def _talk(session: "ChatSession", screen: "Screen") -> None:
    """A conversation by hand, until Ctrl-D, /exit, or Ctrl-C twice at an empty prompt."""
    from baleen.cli.chat_input import TypedInput

    typed = TypedInput()
    while True:
        try:
            text = typed.read()
        except EOFError:
            return
        if not _take_or_stop(session, screen, text):
            return


def _take_or_stop(session: "ChatSession", screen: "Screen", text: str) -> bool:
    """`_take`, except that Ctrl-C stops the answer and not the program."""
    from baleen.runs.clean_stop import CleanStop

    stop = CleanStop()  # the engine's step under way ends first
    with stop:
        try:
            return _take(session, screen, text, lambda: stop.heard)
        except KeyboardInterrupt:
            screen.notice("stopped; this question is forgotten")
            return True


def _take(
    session: "ChatSession", screen: "Screen", text: str, is_stopped: Callable[[], bool] = lambda: False
) -> bool:
    """Carry out a command or ask a question. Returns whether the conversation goes on."""
    text = text.strip()
    if command := re.match(r"/\w*(?!\S)", text):  # but /etc/passwd or // begins a question
        if command[0] == "/exit":
            return False
        screen.notice(_command(session, command[0]))
    elif text:
        try:
            _show_cost(screen, session.ask(text, screen, is_stopped).spent)
        except UserError as error:
            screen.notice(str(error))
    return True


def _command(session: "ChatSession", text: str) -> str:
    """Carry out a /command. Returns what to say about it."""
    if text == "/tools":
        session.tools = not session.tools
        return "tools: calculate(expression), lookup(key)" if session.tools else "no tools"
    if text == "/thinking":
        session.thinking = not session.thinking
        return f"thinking {'on' if session.thinking else 'off'}"
    if text == "/reset":
        session.reset()
        return "a new conversation"
    if text == "/help":
        return HELP
    near = difflib.get_close_matches(text, COMMANDS, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
    return f"there is no command {text}; {hint}"


def _show_cost(screen: "Screen", spent: "Spent") -> None:
    from baleen.cost.prices import price_of

    thought = f", {spent.reasoning} of them thinking" if spent.reasoning else ""
    cost = dollars(price_of(spent.prompt, spent.cached, spent.completion, "deepseek-v3.2"))
    screen.cost(
        f"{spent.prompt} tokens in ({spent.cached} cached), {spent.completion} out{thought}; "
        f"{cost} at DeepSeek-V3.2's hosted price"
    )


def dollars(amount: float) -> str:
    """An amount as people write it: cents from one cent on, below that two digits and no exponent."""
    if amount >= 0.01:
        return f"${amount:.2f}"
    if 0 < amount < 1e-6:
        return "less than $0.000001"
    return f"${Decimal(f'{amount:.2g}'):f}"
