"""Is the chat format linear? Times of encoding and parsing when the input grows; every ratio within one run.

    python benchmarks/chat_format.py [--repeats 7] [--json FILE]

Encoding 2,000 messages against 200 (10 times as many; bound 12), and the parser on texts 8 times as long (bound
16; linear is 8, quadratic 64), fed whole, in pieces of 7 characters and one character at a
time, on texts that are costly for a careless parser. The best of the repeats counts; the spread is the median's.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from baleen.chat import StreamParser, encode_pieces
from baleen.chat.tokens import CALLS_START, DSML, EOS

ENCODE_BOUND, PARSE_BOUND, GROWTH = 12, 16, 8
TOOLS = [
    {"type": "function", "function": {"name": f"f{n}", "parameters": {"type": "object"}}} for n in range(10)
]


def chain(num_messages: int) -> list[dict]:
    """A system message with tools, a question, then calls and results."""
    function = {"name": "f1", "arguments": json.dumps({"a": "text " * 20, "b": [1, 2, 3]})}
    call = {
        "role": "assistant",
        "reasoning_content": "because " * 20,
        "tool_calls": [{"type": "function", "function": function}],
    }
    messages = [{"role": "system", "content": "S", "tools": TOOLS}, {"role": "user", "content": "Q"}]
    while len(messages) < num_messages:
        messages += [call, {"role": "tool", "content": "result " * 20}]
    return messages[:num_messages]


def call(body: str) -> str:
    return f'{CALLS_START}>\n<{DSML}invoke name="f">\n{body}</{DSML}invoke>\n</{DSML}function_calls>'


def parameter(key: str, value: str) -> str:
    return f'<{DSML}parameter name="{key}" string="true">{value}</{DSML}parameter>\n'


COMPLETIONS: dict[str, Callable[[int], str]] = {
    "one long answer": lambda n: "word " * (n // 5) + EOS,
    "false starts of markers": lambda n: f"\n\n<{DSML}func "[:-2] * (n // 16) + EOS,
    "only opening brackets": lambda n: "<" * n + EOS,
    "one long argument": lambda n: call(parameter("k", 'x"\n' * (n // 3))),
    "false ends in an argument": lambda n: call(parameter("k", f"<\n/{DSML}para" * (n // 14))),
    "many parameters": lambda n: call("".join(parameter(str(i), "v") for i in range(n // 60))),
    "a name that never ends": lambda n: call("")[:-80] + '">\n' * (n // 3),
    "blanks before a name": lambda n: f"{CALLS_START}>\n<{DSML}invoke" + " " * n + f"</{DSML}invoke",
}


def best(action: Callable[[], object], repeats: int) -> list[float]:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return sorted(times)


def parse(text: str, size: int) -> None:
    parser = StreamParser("chat")
    for at in range(0, len(text), size):
        parser.push(text[at : at + size])
    parser.finish()


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--repeats", type=int, default=7)
    options.add_argument("--json", type=Path)
    arguments = options.parse_args()
    rows: list[dict] = []

    def compare(name: str, small: Callable[[], object], large: Callable[[], object], bound: int) -> None:
        a, b = best(small, arguments.repeats), best(large, arguments.repeats)
        ratio, spread = b[0] / a[0], statistics.median(b) / b[0] - 1
        rows.append(
            {"name": name, "small_s": a[0], "large_s": b[0], "ratio": ratio, "spread": spread, "bound": bound}
        )
        mark = "" if ratio <= bound else "  ABOVE ITS BOUND"
        print(
            f"{name:44} {a[0] * 1e3:9.2f} ms {b[0] * 1e3:9.2f} ms   {ratio:5.2f} (≤ {bound}; +{spread:.0%}){mark}"
        )

    few, many = chain(200), chain(2000)
    for mode in ("thinking", "chat"):
        compare(
            f"encode 200 -> 2,000 messages, {mode}",
            lambda mode=mode: encode_pieces(few, mode),
            lambda mode=mode: encode_pieces(many, mode),
            ENCODE_BOUND,
        )
    for name, make in COMPLETIONS.items():
        for size, length in ((10**9, 200_000), (7, 25_000), (1, 10_000)):
            pieces = "whole" if size == 10**9 else f"{size} a piece"
            small, large = make(length), make(GROWTH * length)
            compare(
                f"{name}, {pieces}",
                lambda text=small, size=size: parse(text, size),
                lambda text=large, size=size: parse(text, size),
                PARSE_BOUND,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return int(any(row["ratio"] > row["bound"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
