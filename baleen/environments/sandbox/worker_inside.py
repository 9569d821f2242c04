"""The process of a `Worker`: reads one JSON line per call, answers with one. argv[1]: JSON with `path`, `memory`."""

import importlib
import json
import os
import resource
import sys
import threading
from queue import SimpleQueue
from typing import Any


def read_orders(orders: SimpleQueue[Any]) -> None:
    """Pass lines on. Their end means that nobody waits for us any more, whatever we are busy with."""
    for line in sys.stdin.buffer:
        orders.put(json.loads(line))
    os._exit(0)


def obey(order: dict[str, Any]) -> dict[str, Any]:
    """Import what is ordered and, if it names a function, call that; an exception, too, is an answer."""
    try:
        function: Any = importlib.import_module(order["module"])
        if "name" not in order:
            return {"value": None}
        for name in order["name"].split("."):
            function = getattr(function, name)
        return {"value": function(*order["arguments"])}
    except Exception as error:
        return {"failure": f"{type(error).__name__}: {error}"[:2000]}


def main() -> None:
    settings = json.loads(sys.argv[1])
    sys.path[:] = settings["path"]
    resource.setrlimit(resource.RLIMIT_AS, (settings["memory"], settings["memory"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(os.dup(1), "w", encoding="ascii") as answers:
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)  # what a function prints must not look like an answer, nor fill a pipe nobody reads
        os.dup2(null, 2)
        print(json.dumps({"ready": True}), file=answers, flush=True)
        orders: SimpleQueue[Any] = SimpleQueue()
        threading.Thread(target=read_orders, args=(orders,), daemon=True).start()
        while True:
            answer = obey(orders.get())
            try:
                text = json.dumps(answer)
            except (TypeError, ValueError, RecursionError) as error:
                text = json.dumps({"failure": f"the result is not JSON: {error}"})
            print(text, file=answers, flush=True)


if __name__ == "__main__":
    main()
