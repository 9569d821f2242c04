"""`baleen rl MODEL`: reinforcement learning of a finished model on tasks of any kind, measured before and after."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from baleen.cli.train import RunOptions, run

STAGE = "rl"


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Train a model by GRPO on tasks and say how much better it is on held-out ones. The same command resumes."""

    model: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Model folder, or the folder of a finished run."""

    tasks: Annotated[tuple[Path, ...], tyro.conf.UseAppendAction] = ()
    """A tasks.jsonl of `baleen synth`, of any kind; repeatable. Its split says what is held out."""

    out: Path = Path("runs/rl")
    """Folder of the run; the trained model is OUT/model."""

    recipe: str = "rl"
    """The stage, called `rl`, and its evaluation: a .toml file or the name of a recipe that ships, such as
    `rl_general`; families of generated tasks may be named there beside --tasks."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen rl`. Returns 1 where a check failed: the model is no better, or worse. Raises UserError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen rl")
    from baleen.cli.loading import model_folder

    changes = {
        f"{STAGE}.from": str(model_folder(options.model).absolute()),
        f"{STAGE}.task_files": [str(path.absolute()) for path in options.tasks],
    }
    code = run(options, options.recipe, "baleen rl", changes)
    _tell(options.out)
    return code


def _tell(out: Path) -> None:
    """The table of what was solved before and after."""
    before, after = (
        json.loads((out / "stages" / f"{name}.json").read_text(encoding="utf-8"))
        for name in (f"{STAGE}-start", STAGE)
    )
    then = {_kind(row): row for row in before["evals"]}
    for row in after["evals"]:
        old = then[_kind(row)]
        print(
            f"  {row['domain']} {row['family']} {row['difficulty']}: {old['correct']} -> {row['correct']} "
            f"of {row['n']}, {old['completion_tokens']:.0f} -> {row['completion_tokens']:.0f} tokens"
        )


def _kind(row: Mapping[str, Any]) -> str:
    return json.dumps([row["domain"], row["family"], row["difficulty"]])
