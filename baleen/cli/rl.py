"""`baleen rl MODEL`: reinforcement learning of a finished model on tasks of any kind, measured before and after."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from baleen.cli.train import RunOptions, run
from baleen.runs.model_folder import model_folder

STAGE = "rl"


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Train a model on tasks with GRPO and measure the gain on held-out tasks. The same command resumes."""

    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Model folder, or the folder of a finished run."""

    tasks: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """A tasks.jsonl of `baleen synth`, of any kind; repeatable. Its `split` field says what is held out."""

    out: Path = Path("runs/rl")
    """Folder of the run; the trained model is OUT/model."""

    recipe: str = "rl"
    """A recipe with one stage called `rl`: a .toml file, or a shipped one such as `rl_general`. It can add generated
    task families to --tasks."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen rl`. Returns 1 if a check failed: the model got worse. Raises UserError, OSError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen rl")
    changes = {
        f"{STAGE}.from": str(model_folder(options.model).absolute()),
        f"{STAGE}.task_files": [str(path.absolute()) for path in options.tasks],
    }
    code = run(options, options.recipe, "baleen rl", changes)
    _tell(options.out)
    return code


def _tell(out: Path) -> None:
    """Print what was solved before and after."""
    before = {_kind(row): row for row in _measured(out, f"{STAGE}-start")}
    for row in _measured(out, STAGE):
        old = before[_kind(row)]
        print(
            f"  {row['domain']} {row['family']} {row['difficulty']}: {old['correct']} -> {row['correct']} "
            f"of {row['n']}, {old['completion_tokens']:.0f} -> {row['completion_tokens']:.0f} tokens"
        )


def _measured(out: Path, stage: str) -> list[Mapping[str, Any]]:
    return json.loads((out / "stages" / f"{stage}.json").read_text(encoding="utf-8"))["evals"]


def _kind(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return row["domain"], row["family"], row["difficulty"]
