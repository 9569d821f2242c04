"""`baleen quickstart`: from nothing to a model that reasons and calls tools, through every stage of V3.2."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from baleen.cli.train import RunOptions, run


@dataclass(frozen=True, kw_only=True)
class Options(RunOptions):
    """Train a tiny DeepSeek-V3.2 through every stage and report on it. The same command resumes."""

    out: Path = Path("runs/quickstart")
    """Folder of the run."""
    smoke: bool = False
    """A few steps of each stage: checks that everything works, learns next to nothing."""
    recipe: str | None = None
    """A .toml file, or the name of a recipe that ships, such as `general`; `tiny` if not given."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen quickstart`. Returns 1 when a check failed. Raises UserError, OSError."""
    options = tyro.cli(Options, args=list(argv), prog="baleen quickstart")
    return run(
        options, "smoke" if options.smoke and not options.recipe else options.recipe, "baleen quickstart"
    )
