"""Reinforcement learning on questions of your own, with the recipe `rl`; here two steps on sums of two digits.

python examples/rl_on_your_tasks.py MODEL OUT
"""

import json
import sys
from pathlib import Path

import baleen
from baleen.config.recipe import load_recipe
from baleen.config.shipped import find_recipe
from baleen.environments import Task


def sum_task(a: int, b: int) -> Task:
    """One question; the reward is 1 if the final answer equals `answer`. Every eighth is held out."""
    return Task(
        id=f"my-sum-{a}-{b}",
        domain="math",
        family="my_sums",
        difficulty=1,
        split="heldout" if (a * 10 + b) % 8 == 0 else "train",
        messages=({"role": "user", "content": f"Add {a}+{b}."},),
        answer=str(a + b),
        data={},
    )


def main(folder: str, out: str) -> None:
    file = Path(out, "tasks.jsonl")
    file.parent.mkdir(parents=True, exist_ok=True)
    tasks = [sum_task(a, b) for a in range(10) for b in range(10)]
    file.write_text("".join(json.dumps(task.to_row()) + "\n" for task in tasks))
    changes = {
        "rl.from": str(Path(folder).resolve()),
        "rl.task_files": [str(file.resolve())],
        "rl.steps": 2,
        "rl.prompts_per_step": 4,
        "rl.max_tokens": 24,
        "text_bytes": 20_000,
    }
    recipe = load_recipe(find_recipe("rl"), changes)
    run = baleen.train_recipe(recipe, Path(out, "run"), threads=1)
    for name in ("rl-start", "rl"):
        answers = json.loads((run / "stages" / f"{name}.json").read_text())["answers"]
        print(name, sum(answer["correct"] for answer in answers), "of", len(answers), "held-out tasks solved")


if __name__ == "__main__":
    main(*sys.argv[1:])
