"""Serves tools written in Python, inside the sandbox: it holds the database in memory and answers calls, line by line.

A tool is a function whose first parameter is the database (sqlite3.Connection) and whose others are its arguments.
ValueError from a tool is a refusal; whatever goes wrong, the database is as before the call.
"""

import base64
import importlib
import json
import os
import sqlite3
import sys


def main() -> None:
    calls, replies = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

    def reply(**values: object) -> None:
        replies.write(json.dumps(values, default=str) + "\n")
        replies.flush()

    try:
        tools = importlib.import_module("tools_text")
    except BaseException as error:  # noqa: BLE001 (any fault of the text is reported)
        return reply(failed=f"the tools cannot be loaded: {type(error).__name__}: {error}"[:500])
    reply(ready=True)
    database = sqlite3.connect(":memory:")
    for line in calls:
        call = json.loads(line)
        if "database" in call:  # the state to go on from, where it is not the one here
            database.close()
            database = connect(call["database"])
        before = database.serialize()
        try:
            result = getattr(tools, call["tool"])(database, **call["arguments"])
            json.dumps(result)  # what is not JSON is the tool's fault
            database.commit()
            answer = {"result": result}
        except ValueError as error:
            answer = {"error": str(error)}
        except BaseException as error:  # noqa: BLE001
            answer = {"error": f"the tool failed: {type(error).__name__}: {error}"[:500]}
        if "error" in answer:
            database = connect(base64.b64encode(before).decode())
        after = database.serialize()
        if after != before:
            answer["database"] = base64.b64encode(after).decode()
        reply(**answer)


def connect(data: str) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.deserialize(base64.b64decode(data))
    database.row_factory = sqlite3.Row
    return database


if __name__ == "__main__":
    main()
