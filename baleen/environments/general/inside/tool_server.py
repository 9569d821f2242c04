"""Serves tools written in Python, inside the sandbox: holds the database in memory and answers one call per line.

A tool is a function of the database (a sqlite3.Connection) and the arguments of the call. A ValueError from a tool is
a refusal. Whatever goes wrong, the database is left as it was before the call.
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
    except BaseException as error:  # noqa: BLE001 (any error in the text is reported)
        return reply(failed=f"the tools cannot be loaded: {type(error).__name__}: {error}"[:500])
    reply(ready=True)
    database = sqlite3.connect(":memory:")
    for line in calls:
        call = json.loads(line)
        if "database" in call:  # sent only if it differs from the one in this process
            database.close()
            database = connect(call["database"])
        before = database.serialize()
        try:
            result = getattr(tools, call["tool"])(database, **call["arguments"])
            json.dumps(result)  # a result that is not JSON is an error of the tool
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
