"""The contender's side of the pipes: reads a request, does it, writes the reply, until its input ends.

    python -m baleen.bench.worker ENGINE

Whatever a library prints goes to stderr: the real stdout carries replies alone.
"""

import gc
import importlib
import json
import os
import sys
import traceback
from typing import Any

# name -> (module, class); the class is built with the arguments of the first request, "load"
ENGINES = {
    "baleen": ("baleen.bench.engines.baleen", "OurEngine"),
    "transformers": ("baleen.bench.engines.transformers", "InTransformers"),
    "llama.cpp": ("baleen.bench.engines.llama_cpp", "InLlamaCpp"),
    "preparation": ("baleen.bench.preparation", "Preparation"),
}


def main() -> int:
    """Serve the engine that the command line names: each operation is a method that returns a JSON object."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    contender: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        operation = request.pop("operation")
        try:
            if operation == "load":
                module, name = ENGINES[sys.argv[1]]
                contender, answer = getattr(importlib.import_module(module), name)(**request), {}
                gc.freeze()  # as `baleen serve` does, and for every engine
            else:
                answer = getattr(contender, operation)(**request)
        except Exception as error:
            traceback.print_exc()
            first = (str(error).strip().splitlines() or [""])[0]
            answer = {"error": f"{type(error).__name__}: {first[:300]}"}
        replies.write(json.dumps(answer) + "\n")
        replies.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
