"""Runs a solution function in the sandbox. Its only way out is a pipe: a tool's name and arguments, a result back."""

import importlib
import json
import os
import sys


def main() -> None:
    # The solution may print: that goes to the error stream, the pipe keeps to whole lines of JSON.
    replies, calls = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    class ToolError(Exception):
        """A call that the tool refused."""

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
    except BaseException as error:  # noqa: BLE001 (whatever a solution does is reported)
        last = {"failed": f"{type(error).__name__}: {error}"[:500]}
    calls.write(json.dumps(last) + "\n")
    calls.flush()


if __name__ == "__main__":
    main()
