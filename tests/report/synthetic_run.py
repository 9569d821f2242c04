"""A made-up but plausible run folder, for tests of the report and for looking at it: `write_run(folder)`.

Numbers follow closed curves plus noise from one seed; no model is involved.
"""

import base64
import json
import math
import random
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from baleen.config.recipe import load_recipe
from baleen.config.shipped import find_recipe
from baleen.config.toml_file import dump_toml

STAGES = (
    "pretrain",
    "dsa_warmup",
    "dsa_sparse",
    "sft",
    "specialist_math",
    "specialist_logic",
    "specialist_tool",
    "distill",
    "mixed",
    "speciale",
)
SECONDS = dict(zip(STAGES, (214, 11, 29, 17, 41, 38, 33, 22, 61, 48), strict=True))
STEPS = dict(zip(STAGES, (1300, 90, 110, 80, 40, 40, 24, 90, 48, 50), strict=True))
TOKENS_A_STEP = 3072
RECIPE = {
    "pretrain.steps": STEPS["pretrain"],
    "pretrain.extension_steps": 300,
    "data.long.text_share": 0.25,
    "mixed.length_penalty": 0.4,
}
# domain, family, difficulties, thinking tokens of a full solution at the lowest difficulty, and per step more
KINDS = (
    ("math", "sum", (2, 3, 4, 5), 9, 9),
    ("logic", "reverse", (5, 7), 8, 1),
    ("logic", "sort", (5, 7), 8, 1),
    ("logic", "program", (2, 3, 4), 12, 8),
    ("tool", "calculator", (1, 2), 14, 22),
    ("tool", "lookup", (1, 2, 3), 12, 13),
)
DOMAINS = {f"specialist_{domain}": [domain] for domain in ("math", "logic", "tool")}
# Skill by stage: (math, logic, tool) and the share of a full solution that is thought aloud
SKILL = {
    "sft": (0.45, 0.52, 0.50, 0.65),
    "specialist_math": (0.86, 0.50, 0.48, 0.95),
    "specialist_logic": (0.44, 0.88, 0.47, 0.95),
    "specialist_tool": (0.42, 0.49, 0.96, 0.9),
    "distill": (0.83, 0.86, 0.95, 0.85),
    "mixed": (0.85, 0.88, 0.97, 0.62),
    "speciale": (0.94, 0.95, 0.95, 1.05),
}


def write_run(folder: Path, stages: Sequence[str] = STAGES, seed: int = 0, state: str = "passed") -> Path:
    """Write the folder of a run that got through `stages`; the last check of the last ends in `state`."""
    rng = random.Random(seed)
    (folder / "stages").mkdir(parents=True, exist_ok=True)
    (folder / "resolved.toml").write_text(dump_toml(load_recipe(find_recipe("tiny"), RECIPE)))
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    lines = [line for stage in stages for line in metrics(stage, rng)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for stage in stages:
        result = stage_result(stage, rng)
        if stage == stages[-1] and state != "passed":
            result["checks"][-1]["state"] = state
            if state == "uncertain":
                result["checks"][-1] |= {"estimate": 0.01, "low": -0.04, "high": 0.06, "n_needed": 6400}
        (folder / "stages" / f"{stage}.json").write_text(json.dumps(result))
    if "dsa_sparse" in stages:
        (folder / "cost.json").write_text(json.dumps(cost(rng)))
    if "mixed" in stages:
        (folder / "selection.json").write_text(json.dumps(selection(rng)))
    return folder


def metrics(stage: str, rng: random.Random) -> list[dict[str, Any]]:
    """The stage's lines of metrics.jsonl."""
    lines = []
    for step in range(1, STEPS[stage] + 1):
        t = step / STEPS[stage]
        noise = rng.gauss(0, 1)
        values: dict[str, Any] = {
            "lr": 1e-3 * min(1, 10 * t, 5 * (1.02 - t)),
            "tokens_per_s": 15e3 + 400 * noise,
        }
        if stage in ("pretrain", "dsa_sparse", "sft", "distill"):
            start, end = {"pretrain": (6.9, 1.85), "dsa_sparse": (2.05, 1.86), "sft": (1.1, 0.42)}.get(
                stage, (0.5, 0.31)
            )
            loss = end + (start - end) * math.exp(-(9 if stage == "pretrain" else 4) * t) + 0.03 * noise
            values |= {"loss": loss * 1.3, "lm_loss": loss, "mtp_loss": 1.12 * loss + 0.25 + 0.02 * noise}
            values["load_max_over_mean"] = 1.15 + 0.8 * math.exp(-8 * t)
        if stage == "dsa_warmup":
            values["index_kl"] = 0.16 + 1.5 * math.exp(-6 * t) * math.exp(0.06 * noise)
            values["index_recall"] = 0.9 - 0.6 * math.exp(-5 * t) + 0.004 * noise
        if stage == "dsa_sparse":
            values["index_kl"] = (0.08 + 0.08 * math.exp(-3 * t)) * math.exp(0.05 * noise)
            values["index_recall"] = 0.94 - 0.035 * math.exp(-3 * t) + 0.003 * noise
        if stage.startswith("specialist") or stage in ("mixed", "speciale"):
            values |= rl_metrics(stage, t, rng)
        lines.append({"stage": stage, "step": step, **values})
    return lines


def rl_metrics(stage: str, t: float, rng: random.Random) -> dict[str, float]:
    before = SKILL["mixed" if stage == "speciale" else "distill" if stage == "mixed" else "sft"]
    index = {"specialist_logic": 1, "specialist_tool": 2}.get(stage, 0)
    start, end = before[index], SKILL[stage][index]
    if stage == "speciale":
        start, end = 0.41, 0.63
    rise = 1 - math.exp(-3.5 * t)
    think = 24 * (before[3] + (SKILL[stage][3] - before[3]) * rise) + rng.gauss(0, 0.7)
    return {
        "reward": min(1.0, start + (end - start) * rise + rng.gauss(0, 0.045)),
        "mismatch_abs_logprob": 3e-6 * math.exp(rng.gauss(0, 0.35)),
        "kl": 0.03 * rise,
        "entropy": 0.42 - 0.2 * rise,
        "ratio_p99": 1.04,
        "offpolicy_masked": 0.0,
        "zero_advantage_groups": 0.2 + 0.3 * rise,
        "think_tokens": think,
        "completion_tokens": think + 6,
    }


def stage_result(stage: str, rng: random.Random) -> dict[str, Any]:
    """What stages/<stage>.json holds."""
    bits = dict(zip(STAGES, (2.31, 2.31, 2.33, 2.52, 2.58, 2.57, 2.55, 2.54, 2.55, 2.57), strict=True))
    rows = evals(stage, rng) if stage in SKILL else []
    return {
        "stage": stage,
        "domains": DOMAINS.get(stage, []),
        "seconds": SECONDS[stage] + rng.random(),
        "steps": STEPS[stage],
        "tokens": STEPS[stage] * TOKENS_A_STEP,
        "bits_per_byte": bits[stage],
        "summary": SUMMARIES.get(stage, {}),
        "checks": [
            {
                "name": name,
                "estimate": estimate,
                "low": estimate - spread if spread else None,
                "high": estimate + spread if spread else None,
                "relation": relation,
                "bound": bound,
                "state": "passed",
                "n": 256 if spread else None,
                "n_needed": None,
                "hint": hint,
                "change": None,
            }
            for name, estimate, spread, bound, relation, hint in CHECKS.get(stage, ())
        ],
        "evals": rows,
        "answers": answers(rows, rng),
        "budgets": budgets(rng) if stage == "speciale" else [],
        "expert_load": [load(rng, 0.22 if stage == "pretrain" else 0.12, 8) for _ in range(2)],
        "samples": samples(stage) if stage in SKILL else [],
    }


def load(rng: random.Random, spread: float, experts: int) -> list[float]:
    raw = [math.exp(rng.gauss(0, spread)) for _ in range(experts)]
    return [value / sum(raw) for value in raw]


def evals(stage: str, rng: random.Random) -> list[dict[str, Any]]:
    rows = []
    for domain, family, difficulties, base, more in KINDS:
        for difficulty in difficulties:
            for mode in ("thinking", "chat") if stage in ("mixed", "distill") else ("thinking",):
                skill = SKILL[stage][("math", "logic", "tool").index(domain)]
                hardness = (difficulty - difficulties[0]) / max(1, difficulties[-1] - difficulties[0])
                p = skill ** (0.25 + 2.6 * hardness)
                if mode == "chat":
                    p *= 0.9 if domain == "tool" else 0.5 - 0.4 * hardness
                n = 64
                think = (
                    (base + more * (difficulty - difficulties[0])) * SKILL[stage][3] * rng.uniform(0.93, 1.07)
                )
                think = think if mode == "thinking" else 0.0
                prompt = 38.0 if domain != "tool" else 260.0 * (1 + difficulty)
                rows.append(
                    {
                        "domain": domain,
                        "family": family,
                        "difficulty": difficulty,
                        "hard": domain != "tool" and difficulty == difficulties[-1],
                        "mode": mode,
                        "n": n,
                        "correct": sum(rng.random() < p for _ in range(n)),
                        "think_tokens": think,
                        "completion_tokens": think + 7 + (14 * difficulty if domain == "tool" else 0),
                        "prompt_tokens": prompt,
                        "cached_tokens": prompt * 0.6 if domain == "tool" else 0.0,
                    }
                )
    return rows


def answers(rows: list[dict[str, Any]], rng: random.Random) -> list[dict[str, Any]]:
    """One for each task of the evaluations in thinking mode, as many of them right as these say."""
    told = []
    for row in rows:
        if row["mode"] == "thinking":
            right = rng.sample(range(row["n"]), row["correct"])
            about = {key: row[key] for key in ("domain", "family", "difficulty")}
            thought = [row["think_tokens"] * rng.uniform(0.8, 1.2) for _ in range(row["n"])]
            told += [about | {"correct": i in right, "think_tokens": n} for i, n in enumerate(thought)]
    return told


def samples(stage: str) -> list[dict[str, Any]]:
    """Four tasks; the first stage errs on two of them, the last on one that the first got right."""
    early, late = stage == "sft", stage == "speciale"
    total = "Thought: : 046 103" if early else "Thought: = 12+34=046 046+56=102"
    digits = "Thought: = rev 31284 sort 12348"
    calls = (
        "= 47*83",
        "calculate 47*83",
        "3901",
        "= 3901+256",
        "calculate 3901+256",
        "4157",
        "= 4157",
        "4157",
    )
    kinds = ("Thought", "Call", "Result", "Thought", "Call", "Result", "Thought", "Answer")
    solved = "\n".join(f"{kind}: {text}" for kind, text in zip(kinds, calls, strict=True))
    compute = "Thought: : 47*83\nAnswer: 3921" if early else solved
    told = [
        (
            "sum-3-12,34,56",
            "math",
            "sum",
            3,
            "Add 12+34+56.",
            f"{total}\nAnswer: {103 if early else 102}",
            not early,
        ),
        ("sum-3-13,34,56", "math", "sum", 3, "Add 13+34+56.", "Answer: 103", True),
        ("sum-4-1,2,3,4", "math", "sum", 4, "Add 1+2+3+4.", "Answer: 10", True),
        ("program-2-48213-rev,sort", "logic", "program", 2, "Apply rev, sort to 48213.", digits, not late),
        ("calculator-2-47,83,256", "tool", "calculator", 2, "Compute 47*83+256.", compute, not early),
    ]
    names = ("task_id", "domain", "family", "difficulty", "prompt", "completion", "correct")
    return [dict(zip(names, row, strict=True)) for row in told]


def budgets(rng: random.Random) -> list[dict[str, float]]:
    rows = []
    for i, budget in enumerate((9, 14, 21, 30, 44, 71)):
        before, after = 0.08 * (i + 1), 0.12 * (i + 1) - 0.05 + rng.uniform(-0.01, 0.01)
        rise = after - before
        rows.append(
            {
                "budget": budget,
                "before": before,
                "after": after,
                "rise": rise,
                "low": rise - 0.06,
                "high": rise + 0.07,
            }
        )
    return rows


def cost(rng: random.Random) -> dict[str, Any]:
    """Dense attention costs less than DSA up to some 100 tokens, and 2.8 times as much at the end."""
    positions = [16, 32, 64, 128, 256, 512, 1024, 2048, 4096]

    def rounds(value: float) -> list[float]:
        return [value * rng.uniform(0.97, 1.03) for _ in range(21)]

    attention = {
        "dense": [0.5 + 0.0040 * p for p in positions],
        "dsa": [0.55 + 0.0040 * min(p, 32) + 0.0013 * p for p in positions],
        "given": [0.5 + 0.0040 * min(p, 32) for p in positions],
    }
    ms = {
        reader: {
            "step": [rounds(value + 1.2) for value in values],
            "attention": [rounds(value) for value in values],
        }
        for reader, values in attention.items()
    }
    facts = {"index_topk": 32, "positions": positions, "sequences": 16, "kernels": True}
    return facts | {"ms": ms}


def selection(rng: random.Random, size: int = 48, topk: int = 16) -> dict[str, Any]:
    """One document; each query reads what lies nearest and the first token, where also the mass is."""
    tokens = [rng.choice(("self", ".", " read", "(", ")", "\n", "    ", "<b>")) for _ in range(size)]
    query, key = np.arange(size)[:, None], np.arange(size)
    chosen = (key <= query) & ((query - key < topk - 1) | (key == 0) | (query < topk))
    mass = np.where(key <= query, np.exp(-(query - key) / 4.0) + 0.2 * (key == 0), 0.0)
    mass /= mass.sum(1, keepdims=True)
    layer = {
        "selected": packed(np.packbits(chosen, axis=1)),
        "mass": packed(np.round(255 * mass).astype(np.uint8)),
        "recall": 0.97,
        "scores": [round(rng.random(), 3) for _ in range(41)],
    }
    document = {
        "title": "Held-out real text",
        "tokens": tokens,
        "queries": list(range(topk, size)),
        "shown": 40,
        "layers": [layer, layer],
    }
    return {"index_topk": topk, "documents": [document]}


def packed(array: Any) -> str:
    return base64.b64encode(zlib.compress(array.tobytes())).decode()


def losses(*means: float) -> dict[str, Any]:
    """Of dense, sparse and random-indexer attention: means, and nats of eight rows of 500 tokens, a little apart."""
    ways = ("dense", "sparse", "random_indexer")
    rows = {
        way: [500 * mean * (1 + 0.01 * (i % 3 - 1) * (n + 1)) for i in range(8)]
        for n, (way, mean) in enumerate(zip(ways, means, strict=True))
    }
    return {f"{way}_loss": mean for way, mean in zip(ways, means, strict=True)} | {"rows": rows}


SUMMARIES: dict[str, dict[str, Any]] = {
    "dsa_warmup": {
        "kl_first": 1.63,
        "kl_last": 0.163,
        "recall": 0.897,
        "dense_loss": 1.86,
        "sparse_loss": 1.97,
        "random_indexer_loss": 6.02,
        "text": losses(2.31, 2.44, 6.35),
        "tasks": losses(0.52, 0.61, 4.91),
    },
    "dsa_sparse": {
        "kl_first": 0.16,
        "kl_last": 0.084,
        "recall": 0.938,
        "dense_loss": 1.86,
        "sparse_loss": 1.88,
        "random_indexer_loss": 6.02,
        "text": losses(2.31, 2.333, 6.35),
        "tasks": losses(0.52, 0.526, 4.91),
    },
}
_RISE = "Look at the reward curve: flat from the start means SFT left no right samples to reinforce."
CHECKS: dict[str, list[tuple[str, float, float, float, str, str]]] = {
    "pretrain": [
        ("text loss falls below", 1.86, 0.0, 2.6, "<=", "Raise steps, or look at lr in metrics.jsonl.")
    ],
    "dsa_warmup": [
        (
            "indexer KL falls by a factor of",
            10.0,
            0.0,
            3.0,
            ">=",
            "Raise the warm-up's adam_lr or its steps.",
        ),
        ("attention mass in the top k", 0.897, 0.0, 0.8, ">=", "Raise index_topk or warm up for longer."),
        (
            "random indexer's loss over dense",
            3.24,
            0.0,
            1.5,
            ">=",
            "Contexts may be shorter than index_topk.",
        ),
    ],
    "dsa_sparse": [
        ("sparse loss over dense, tasks", 1.012, 0.0, 1.05, "<=", "Train the sparse stage for longer."),
        ("sparse loss over dense, real text", 1.01, 0.0, 1.05, "<=", "Train the sparse stage for longer."),
    ],
    "specialist_math": [("rise of held-out accuracy, lower bound", 0.21, 0.03, 0.0, ">=", _RISE)],
    "specialist_logic": [("rise of held-out accuracy, lower bound", 0.24, 0.03, 0.0, ">=", _RISE)],
    "specialist_tool": [
        ("rise of held-out accuracy, lower bound", 0.31, 0.03, 0.0, ">=", _RISE),
        ("held-out accuracy", 0.97, 0.03, 0.9, ">=", "Look at the samples: does it call the tool?"),
    ],
    "distill": [
        ("worst gap to a specialist", 0.03, 0.03, 0.05, "<=", "Distil more samples, or for more steps.")
    ],
    "mixed": [("sum over domains, after minus before", 0.04, 0.03, 0.0, ">=", "Lower the length penalty.")],
    "speciale": [
        ("thinking tokens against penalized", 1.62, 0.0, 1.0, ">=", "Is the length penalty really off?"),
        (
            "accuracy on hard items, rise",
            0.17,
            0.03,
            0.0,
            ">=",
            "Look at zero_advantage_groups: items too hard?",
        ),
    ],
}
ENVIRONMENT: dict[str, Any] = {
    "baleen": "0.1.0",
    "git_commit": "8af0270c0ffee0123456789abcdef0123456789a",
    "platform": "Linux-6.1.0-x86_64-with-glibc2.36",
    "python": "3.11.9",
    "cpu": "AMD EPYC 7B13",
    "cores": 2,
    "memory_bytes": 8 * 2**30,
    "packages": {"torch": "2.13.0+cpu", "numpy": "2.4.6", "tokenizers": "0.23.3", "matplotlib": "3.11.2"},
    "seed": 0,
    "threads": 2,
}
