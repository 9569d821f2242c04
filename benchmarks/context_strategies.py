"""Strategies for a full window on long hunts: `python benchmarks/context_strategies.py [FOLDER]`.

A hunt asks which of many keys points to a given one. The scripted searcher knows only what its window shows, so the
window decides how much it can try before it ends, forgets, or sums up.
"""

import json
import random
import sys
from pathlib import Path

from baleen.cli.main import main
from baleen.environments.toy.hunt import hunt

TASKS, CANDIDATES, WINDOW, MAX_TURNS, PARALLEL = 200, 160, 2_000, 400, 8


def write_tasks(path: Path, count: int, candidates: int) -> None:
    """Hunts of a fixed seed as a `tasks.jsonl`."""
    rng = random.Random(0)
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps(hunt(candidates, rng).to_row()) for _ in range(count)]
    path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/context-strategies")
    write_tasks(folder / "tasks.jsonl", TASKS, CANDIDATES)
    options = ["--policy", "searcher", "--window", WINDOW, "--max-turns", MAX_TURNS, "--parallel", PARALLEL]
    sys.exit(main(["eval", str(folder / "tasks.jsonl"), "--out", str(folder / "eval"), *map(str, options)]))
