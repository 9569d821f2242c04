"""Reinforcement learning on a file of tasks, with the recipe `rl`; here two steps on sums.

python examples/rl_on_your_tasks.py MODEL OUT
"""

import json
import random
import sys
from pathlib import Path

import baleen
from baleen.config.recipe import load_recipe
from baleen.config.shipped import find_recipe
from baleen.environments import sample_task


def main(folder: str, out: str) -> None:
    rng = random.Random(0)
    tasks = [sample_task("sum", 3, rng, split) for split in ("train", "heldout") for _ in range(8)]
    file = Path(out, "tasks.jsonl")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(task.to_row()) + "\n" for task in tasks))
    changes = {
        "rl.from": str(Path(folder).resolve()),
        "rl.task_files": [str(file.resolve())],
        "rl.steps": 2,
        "rl.prompts_per_step": 4,
        "rl.max_tokens": 16,
        "text_bytes": 20_000,
    }
    recipe = load_recipe(find_recipe("rl"), changes)
    run = baleen.train_recipe(recipe, Path(out, "run"), threads=1)
    record = json.loads((run / "stages" / "rl.json").read_text())
    print(sum(answer["correct"] for answer in record["answers"]), "of", len(record["answers"]), "solved")


if __name__ == "__main__":
    main(*sys.argv[1:])
