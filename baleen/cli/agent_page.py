"""`baleen agent page RUN`: write the page of a run's trajectories again."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro


@dataclass(frozen=True)
class PageOptions:
    """Write the trajectories of a run as one self-contained HTML page."""

    run: Annotated[Path, tyro.conf.Positional]
    """Folder of a `baleen agent run`, finished or not."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen agent page`. Raises UserError, OSError."""
    options = tyro.cli(PageOptions, args=list(argv), prog="baleen agent page")
    from baleen.report.trajectories import write_page

    print(f"wrote {write_page(options.run)}")
    return 0
