"""Which stage begins with which model, what each reads of the others, and what a change of the recipe touches."""

from collections.abc import Collection, Iterable

PARENTS: dict[str, str | None] = {
    "pretrain": None,
    "dsa_warmup": "pretrain",
    "dsa_sparse": "dsa_warmup",
    "sft": "dsa_sparse",
    "specialist_math": "sft",
    "specialist_logic": "sft",
    "specialist_tool": "sft",
    "distill": "sft",
    "mixed": "distill",
    "speciale": "mixed",
}
"""Every stage in the order it runs, and the stage whose model it begins with."""
BASE = ("pretrain", "dsa_warmup", "dsa_sparse")
DOMAINS = ("math", "logic", "tool")
EXPORTS = {
    "sft": ("model-sft",),
    "mixed": ("model", "cost.json", "selection.json"),
    "speciale": ("model-speciale",),
}
"""What a finished stage leaves in the run's folder, beside its record and its checkpoints."""

_FIRST = {"base_data": "pretrain", "chat_data": "sft", "distill_data": "distill", "evaluation": "sft"}


def needs(stage: str) -> list[str]:
    """The stages whose models or records `stage` reads, in the order they run."""
    parent = PARENTS[stage]
    found = [parent] if parent else []
    return found + [f"specialist_{domain}" for domain in DOMAINS] if stage == "distill" else found


def missing(stages: Iterable[str], finished: Collection[str]) -> tuple[str, str] | None:
    """The first of `stages` that reads one which is neither finished nor to be run before it, and that one."""
    ready = set(finished)
    for stage in stages:
        for read in needs(stage):
            if read not in ready:
                return stage, read
        ready.add(stage)
    return None


def affected(keys: Iterable[str]) -> set[str]:
    """Stages whose models or records may differ when these dotted keys of the recipe change.

    A stage's key changes it and all that read it. `evaluation` changes every record from SFT on. What is not known
    to come later, such as the seed, changes everything.
    """
    changed = set()
    for key in keys:
        section = key.split(".")[0]
        changed.add(section if section in PARENTS else _FIRST.get(section, "pretrain"))
    for stage in PARENTS:
        if changed & set(needs(stage)):
            changed.add(stage)
    return changed
