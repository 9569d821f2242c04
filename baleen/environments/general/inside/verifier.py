"""Runs a verification function inside the sandbox, on the databases before and after and on the answer."""

import base64
import importlib
import json
import os
import sqlite3
import sys


def main() -> None:
    verdict = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    outcomes = json.loads(sys.stdin.readline())
    verify = importlib.import_module("verification_text").verify
    for outcome in outcomes:
        try:
            before, after = connect(outcome["before"]), connect(outcome["after"])
            line = {"accepted": verify(before, after, outcome["answer"]) is True}
        except BaseException as error:  # noqa: BLE001 (a verifier that raises does not accept)
            line = {"accepted": False, "failed": f"{type(error).__name__}: {error}"[:500]}
        verdict.write(json.dumps(line) + "\n")
        verdict.flush()  # the next outcome may end the process


def connect(data: str) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.deserialize(base64.b64decode(data))
    database.row_factory = sqlite3.Row
    return database


if __name__ == "__main__":
    main()
