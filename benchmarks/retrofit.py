"""A dense V3 checkpoint becomes a sparse one: how much loss does that cost on text that neither has seen?

    python benchmarks/retrofit.py --out runs/retrofit [--steps 400] [--seed 0] [--threads 2]

Trains a small dense model without indexers on real text, has `transformers` read and write it, and runs the recipe
`retrofit` on what it wrote. Prints the sparse loss over the dense one with its 95 % interval. The same command goes on.
"""

import argparse
import json
import shutil
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from transformers import AutoModelForCausalLM

from baleen.cli.main import main as baleen

DENSE = """
sizes = { index_n_heads = 0, sparse_attention = false, num_nextn_predict_layers = 0 }
[data.text]
text_share = 1.0
[[stage]]
name = "dense"
kind = "pretrain"
data = "text"
steps = 400
batch_size = 8
seq_len = 512
muon_lr = 0.02
"""


def main(words: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--out", type=Path, default=Path("runs/retrofit"))
    options.add_argument("--steps", type=int, default=400, help="of the dense model's training (400)")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--threads", type=int, default=2)
    options.add_argument("--text", type=Path, default=Path(sysconfig.get_path("stdlib"), "asyncio"))
    options.add_argument("--set", action="append", default=[], help="stage.key=value of the retrofit recipe")
    given = options.parse_args(words)
    given.out.mkdir(parents=True, exist_ok=True)
    recipe = given.out / "dense.toml"
    recipe.write_text(DENSE.replace("steps = 400", f"steps = {given.steps}"))
    common = ["--seed", str(given.seed), "--threads", str(given.threads)]
    if baleen(["train", str(recipe), "--out", str(given.out / "dense"), *common]):
        return 1
    theirs = given.out / "written-by-transformers"
    if not (theirs / "config.json").exists():
        AutoModelForCausalLM.from_pretrained(given.out / "dense" / "model").save_pretrained(theirs)
        for file in ("tokenizer.json", "tokenizer_config.json"):
            shutil.copyfile(given.out / "dense" / "model" / file, theirs / file)
    changes = [word for setting in given.set for word in ("--set", setting)]
    words = ["train", "retrofit", "--from", str(theirs), "--text", str(given.text)]
    code = baleen([*words, "--out", str(given.out / "sparse"), *common, *changes])
    for name in ("warmup", "sparse"):
        for check in json.loads((given.out / "sparse" / "stages" / f"{name}.json").read_text())["checks"]:
            interval = "" if check["low"] is None else f" [{check['low']:.4f}, {check['high']:.4f}]"
            print(f"{name}: {check['name']} {check['estimate']:.4f}{interval}")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
