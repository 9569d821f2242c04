"""Runs a solution in the sandbox. Its only way out is a pipe: names and arguments of calls out, results back."""

import importlib
import json
import os
import sys


def main() -> None:
    # What the solution prints goes to the error stream, so that the pipe carries only lines of JSON.
    replies, calls = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    class ToolError(Exception):
        """A tool refused a call."""

    class Tools:
        def __getattr__(self, name: str) -> object:
            def call(**arguments: object) -> object:
                calls.write(json.dumps({"tool": name, "arguments": arguments}) + "\n")
                calls.flush()
                reply = json.loads(replies.readline())
                if "error" in reply:
                    raise ToolError(reply["error"])
                return reply["result"]

            return call

    parameters = json.loads(replies.readline())
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    try:
        answer = importlib.import_module("solution_text").solution(Tools(), **parameters)
        last = {"answer": answer}
        json.dumps(last)
    except BaseException as error:  # noqa: BLE001 (whatever the solution does is reported)
        last = {"failed": f"{type(error).__name__}: {error}"[:500]}
    calls.write(json.dumps(last) + "\n")
    calls.flush()


if __name__ == "__main__":
    main()
