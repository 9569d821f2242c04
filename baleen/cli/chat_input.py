"""What is typed at the prompt of `baleen chat`: what makes one question, and when Ctrl-C quits."""

import contextlib
import select
import sys
from types import ModuleType

try:
    import readline  # line editing and history for input()
except ImportError:  # Python built without it
    readline: ModuleType | None = None

_PROMPT = "\n> "
_TOGETHER = 0.02  # seconds; a terminal hands over a paste much faster, nobody types a line that fast
_QUITS = "(Ctrl-C again, Ctrl-D or /exit quits)"


class TypedInput:
    """Questions from a terminal.

    A paste stays one question. GNU readline asks the terminal to mark a paste (bracketed paste, which Python turns
    off for its own prompt) and puts it on the line to be sent with Enter. With another readline, or a terminal that
    marks nothing, lines that arrive together are joined.
    """

    def __init__(self) -> None:
        if readline is not None and "libedit" not in (readline.__doc__ or ""):
            readline.parse_and_bind("set enable-bracketed-paste on")

    def read(self) -> str:
        """The next question. Raises EOFError at Ctrl-D, and at Ctrl-C twice on an empty line."""
        warned = False
        while True:
            try:
                lines = [input(_PROMPT)]
                with contextlib.suppress(EOFError):
                    while _more_has_arrived():
                        lines.append(input())
                return "\n".join(lines)
            except EOFError:
                print()  # the shell's prompt begins on a line of its own
                raise
            except KeyboardInterrupt:
                abandons_text = readline is not None and bool(readline.get_line_buffer())
                if warned and not abandons_text:
                    print()
                    raise EOFError from None
                warned = not abandons_text
                print(f"\n{_QUITS}" if warned else "")


def _more_has_arrived() -> bool:
    try:
        return bool(select.select([sys.stdin], [], [], _TOGETHER)[0])
    except (OSError, ValueError):  # not for consoles of Windows
        return False
