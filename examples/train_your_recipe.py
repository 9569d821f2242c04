"""A recipe of your own: the smoke recipe's base alone, with another indexer, in two steps of each stage.

python examples/train_your_recipe.py OUT
"""

import sys
from pathlib import Path

import baleen

RECIPE = """
extends = "smoke"
drop = ["sft", "specialist_math", "specialist_logic", "specialist_tool", "distill", "mixed", "speciale"]
sizes = { index_topk = 32 }

[[stage]]
name = "pretrain"
steps = 2
extension_steps = 0
batch_size = 2

[[stage]]
name = "dsa_warmup"
steps = 2

[[stage]]
name = "dsa_sparse"
steps = 2
batch_size = 2
"""


def main(out: str) -> None:
    recipe = Path(out, "mine.toml")
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(RECIPE)
    run = baleen.train_recipe(recipe, Path(out, "run"), threads=1)
    print(baleen.load_model(run / "model").config.index_topk)


if __name__ == "__main__":
    main(*sys.argv[1:])
