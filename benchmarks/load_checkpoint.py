"""What it takes to load a checkpoint of about 2 GB, beside `transformers`, and to convert it.

    python benchmarks/load_checkpoint.py [--repeats 3] [--layers 10] [--shard-size 400MB] [--json FILE]

A random float32 checkpoint in shards is written to a temporary folder. Each loader then runs in a process of its own,
in turn, after one run that is not counted; what it prints are seconds inside the loading call and the growth of the
process's peak resident memory, pages of mapped files included. The bound is model + largest shard + 10 % for a
load, three shards + 10 % for a conversion: a shard of the source, one of the result, and that one as it is written.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from baleen.cli.convert import parse_size
from baleen.config import ModelConfig
from baleen.model import Transformer, load_model, save_model
from baleen.model.conversion import Plan, convert

KINDS = ("baleen", "transformers", "convert to fp8", "convert to bf16")
SIZES = {
    "hidden_size": 1024,
    "intermediate_size": 2048,
    "moe_intermediate_size": 512,
    "num_nextn_predict_layers": 0,
}


def random_checkpoint(folder: Path, layers: int, shard_bytes: int) -> None:
    config = ModelConfig.preset("small", num_hidden_layers=layers, **SIZES)
    model = Transformer(config).initialize(torch.Generator().manual_seed(0))
    save_model(model, folder, shard_bytes)


def run(kind: str, source: Path, scratch: Path, shard_bytes: int) -> dict[str, float]:
    """One load or conversion in this process: seconds, and bytes by which the peak of resident memory grew."""
    if kind == "transformers":
        from transformers import DeepseekV32ForCausalLM
    before = _peak()
    began = time.perf_counter()
    if kind == "baleen":
        kept: object = load_model(source)
    elif kind == "transformers":
        kept = DeepseekV32ForCausalLM.from_pretrained(source, dtype=torch.float32)
    else:
        plan = Plan("fp8" if kind.endswith("fp8") else "bf16", shard_bytes)
        kept = convert(source, scratch, plan, force=True)
    seconds = time.perf_counter() - began
    del kept
    return {"seconds": seconds, "bytes": _peak() - before}


def _peak() -> int:
    """Not getrusage's figure, which a process inherits from the one that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024


def measure(source: Path, scratch: Path, repeats: int, shard_size: str) -> dict[str, list[dict[str, float]]]:
    """Every kind in turn, each in a process of its own; the first round only fills the page cache."""
    found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for repeat in range(repeats + 1):
        for kind in KINDS:
            words = [
                sys.executable,
                __file__,
                "--child",
                kind,
                str(source),
                str(scratch),
                "--shard-size",
                shard_size,
            ]
            done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=600)
            if repeat:
                found[kind].append(json.loads(done.stdout.splitlines()[-1]))
    return found


def main() -> int:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--layers", type=int, default=10)
    options.add_argument("--shard-size", default="400MB")
    options.add_argument("--json", type=Path)
    options.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = options.parse_args()
    shard_bytes = parse_size(arguments.shard_size)
    if arguments.child:
        kind, source, scratch = arguments.child
        print(json.dumps(run(kind, Path(source), Path(scratch), shard_bytes)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        source, scratch = Path(folder, "source"), Path(folder, "converted")
        random_checkpoint(source, arguments.layers, shard_bytes)
        files = [path.stat().st_size for path in source.glob("*.safetensors")]
        found = measure(source, scratch, arguments.repeats, arguments.shard_size)
    print(
        f"{sum(files):,} bytes in {len(files)} shards of at most {max(files):,}; {torch.get_num_threads()} threads"
    )
    print(f"{'':18}{'seconds':>9}{'spread':>16}{'peak bytes':>16}{'of the bound':>14}")
    fits = True
    for kind, runs in found.items():
        seconds = [one["seconds"] for one in runs]
        peak = max(one["bytes"] for one in runs)
        bound = 1.1 * (3 * max(files) if kind.startswith("convert") else sum(files) + max(files))
        fits &= kind == "transformers" or peak < bound
        spread = f"{min(seconds):.2f}..{max(seconds):.2f}"
        print(f"{kind:18}{statistics.median(seconds):9.2f}{spread:>16}{peak:16,.0f}{peak / bound:14.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"shards": files, "runs": found}, indent=1) + "\n")
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main())
