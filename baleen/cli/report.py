"""`baleen report RUN_DIR`: write a run's report again from what the run folder holds."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class Options:
    """Write RUN_DIR/report.html again, from what the run folder holds."""

    run_dir: tyro.conf.Positional[Path]
    """Folder of a run, as runs/quickstart. The run may still be going on."""


def main(argv: Sequence[str]) -> int:
    """Entry of `baleen report`. Raises UserError when the folder holds no run or is damaged."""
    options = tyro.cli(Options, args=list(argv), prog="baleen report")
    from baleen.report.run_report import write_report  # here: `--help` need not wait for matplotlib

    print(f"wrote {write_report(options.run_dir)}")
    return 0
