"""`baleen chat MODEL`: a conversation in the terminal, or through a pipe."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from baleen.cli.loading import ComputeOptions
from baleen.cli.options import say, with_model_positional
from baleen.config import UsageError, UserError

if TYPE_CHECKING:
    from baleen.cli.chat_screen import PlainScreen, TerminalScreen
    from baleen.cli.chat_session import ChatSession, Spent

HELP = """\
/tools     give the model the calculator and the look-up, or take them away
/thinking  let the model think before it answers, or not
/reset     forget the conversation
/help      show this
Ctrl-C stops an answer, Ctrl-C at the prompt or Ctrl-D quits."""


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
    from rich.console import Console

    from baleen.cli.chat_screen import PlainScreen, TerminalScreen

    console = Console()
    session = _session(options)
    screen = TerminalScreen(console) if console.is_terminal else PlainScreen()
    if options.once is not None:
        _show_cost(screen, session.ask(options.once, screen))
        return 0
    if sys.stdin.isatty() and console.is_terminal:
        console.print(f"[bold]{options.model}[/]  /help lists the commands", highlight=False)
        _converse(session, screen, _typed())
    else:
        _converse(session, screen, (line.rstrip("\n") for line in sys.stdin))
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


def _session(options: ChatOptions) -> "ChatSession":
    from baleen.cli.chat_session import ChatSession, builtin_world
    from baleen.cli.loading import load
    from baleen.config.engine import SamplingParams

    loaded = load(options.model, max_running=1, max_model_len=None, compute=options)
    if options.max_tokens > loaded.max_model_len:
        say(
            f"--max-tokens is {options.max_tokens}, this model's context is {loaded.max_model_len} tokens; "
            "an answer ends there"
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


def _typed() -> Iterator[str]:
    """Lines typed at the prompt, until Ctrl-D or Ctrl-C there."""
    with contextlib.suppress(ImportError):
        import readline  # noqa: F401  (line editing and history for input())
    while True:
        try:
            yield input("\n> ")
        except (EOFError, KeyboardInterrupt):
            return


def _converse(session: "ChatSession", screen: "TerminalScreen | PlainScreen", lines: Iterator[str]) -> None:
    interactive = sys.stdin.isatty()
    for line in lines:
        text = line.strip()
        if not text:
            continue
        if text.startswith("/"):
            screen.notice(_command(session, text))
            continue
        try:
            _show_cost(screen, session.ask(text, screen))
        except KeyboardInterrupt:
            if not interactive:
                raise
            screen.notice("stopped; this question is forgotten (Ctrl-C again quits)")
        except UserError as error:
            screen.notice(str(error))


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
    return HELP if text == "/help" else f"there is no command {text.split()[0]}\n{HELP}"


def _show_cost(screen: "TerminalScreen | PlainScreen", spent: "Spent") -> None:
    from baleen.cli.loading import dollars

    thought = f", {spent.reasoning} of them thinking" if spent.reasoning else ""
    screen.cost(
        f"{spent.prompt} tokens in ({spent.cached} cached), {spent.completion} out{thought}; "
        f"{dollars(spent.prompt, spent.cached, spent.completion)}"
    )
