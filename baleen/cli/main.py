"""`baleen COMMAND ...`: finds the command; turns every way it can end into an exit code and one clear line.

Exit codes: 0 done, 1 failed, 2 bad usage, 130 interrupted by Ctrl-C, 143 by SIGTERM. Nothing heavy is imported
here, so that `baleen --help` answers at once; a command's module, and with it torch, is imported when it is run.
"""

import difflib
import errno
import importlib
import os
import sys
import traceback
from collections.abc import Callable, Sequence

from baleen.cli.subcommands import command_rows

COMMANDS = {
    "quickstart": "train a tiny model through every stage, evaluate it, write a report",
    "train": "run a recipe: a list of stages, from nothing or from a model",
    "rl": "train a model on tasks by reinforcement learning, measured before and after",
    "chat": "talk to a model in the terminal",
    "serve": "serve a model over HTTP (OpenAI chat completions)",
    "synth": "make tasks for agents: code, search, interpreter, general",
    "agent": "play tasks with any policy, keep the trajectories, play them again",
    "eval": "compare strategies for a full window: accuracy against steps and tokens",
    "convert": "convert a checkpoint: FP8, BF16, shards, indexer",
    "bench": "measure the engine against the machine's roofline and, if asked, its peers",
    "plan": "show what a model takes, from its config: parameters, bytes, FLOPs, dollars",
    "report": "write a run's report again",
    "doctor": "show what this machine offers and what to mend",
}

_REMEDIES = {
    errno.ENOSPC: "free some space or choose a folder on another disk with --out",
    errno.EDQUOT: "free some of your quota or choose a folder on another disk with --out",
    errno.EROFS: "choose a folder on a writable disk with --out",
    errno.EACCES: "choose a file or folder that you may use, or change its permissions",
    errno.EPERM: "choose a file or folder that you may use, or change its permissions",
    errno.ENOENT: "check the spelling of the path",
    errno.EADDRINUSE: "choose another port with --port, or stop the program that uses this one",
    errno.EMFILE: "raise the limit of open files with ulimit -n",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit code; never raises for anything a user can cause."""
    words = list(sys.argv[1:] if argv is None else argv)
    debug = bool(os.environ.get("BALEEN_DEBUG"))
    if words[:1] == ["--debug"]:
        debug, words = True, words[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return 0 if words else 2
    if words[0] in ("-V", "--version"):
        from baleen import __version__

        print(f"baleen {__version__}")
        return 0
    name = words[0]
    if name not in COMMANDS:
        return _unknown(name)
    if sys.platform == "win32":
        _say("error: Baleen does not run on Windows itself; run it in WSL, which `wsl --install` sets up")
        return 1
    return guarded(lambda: _run(name, words[1:]), debug)


def _run(name: str, words: Sequence[str]) -> int:
    command = importlib.import_module(f"baleen.cli.{name}")
    from baleen.cli.options import rules

    with rules():
        return command.main(words)


def guarded(command: Callable[[], int], debug: bool = False) -> int:
    """The exit code of `command()`. An error becomes one line on stderr, after its traceback if `debug`."""
    try:
        code = command()
        sys.stdout.flush()  # a reader that went away shows here, not in the interpreter's last breath
        return code
    except SystemExit as stop:  # argument parsers end this way; their message is already printed
        if isinstance(stop.code, str):
            _say(stop.code)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt as error:
        _say("interrupted", *_notes(error))
        return getattr(error, "exit_code", 130)  # a clean stop knows the signal
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _fail(error)


def _fail(error: Exception) -> int:
    """Prints the one line that `error` deserves. Returns its exit code."""
    from baleen.config.errors import UserError  # here: it brings pydantic, which `--help` can do without

    if isinstance(error, UserError):
        _say(f"error: {error}")
        return error.exit_code
    package = (
        (error.name or "baleen").partition(".")[0] if isinstance(error, ModuleNotFoundError) else "baleen"
    )
    if package != "baleen":
        from baleen.installation import install_command

        _say(f"error: the package {package} is missing; install it with: {install_command()}")
        return 1
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename is not None else ""
        remedy = _REMEDIES.get(error.errno or 0)
        _say(f"error: {where}{error.strerror or error}" + (f"; {remedy}" if remedy else ""))
        return 1
    first = (str(error).strip().splitlines() or [""])[0]
    _say(f"error: {type(error).__name__}: {first[:300]}", *_notes(error))
    if not _notes(error):
        _say("this is a bug in Baleen; BALEEN_DEBUG=1 before the same command shows where it arose")
    return 1


def _notes(error: BaseException) -> list[str]:
    """What the code that `error` passed through had to add, such as where its traceback was written."""
    return list(getattr(error, "__notes__", []))


def _say(*lines: str) -> None:
    for line in lines:
        print(f"baleen: {line}", file=sys.stderr)


def _unknown(name: str) -> int:
    near = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean `baleen {near[0]}`?" if near else "`baleen --help` lists the commands"
    _say(f"error: there is no command {name!r}; {hint}")
    return 2


def _help() -> str:
    return (
        "Baleen: the whole DeepSeek-V3.2 system, from base model to reasoning agent, on a laptop.\n\n"
        "usage: baleen [--debug] COMMAND [options]\n\n"
        f"{command_rows(COMMANDS)}\n\n"
        "  --debug     show the traceback of an error (also: BALEEN_DEBUG=1)\n"
        "  --version   print the version\n\n"
        "`baleen COMMAND --help` shows the options of one command. Start with: baleen quickstart"
    )


if __name__ == "__main__":
    sys.exit(main())
