"""`baleen doctor`: what this machine offers, and for each thing that will hurt, its remedy."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from baleen.diagnosis import Check, diagnose

_STYLES = {"ok": ("✓", "green"), "off": ("–", "dim"), "warn": ("!", "yellow"), "fail": ("✗", "bold red")}


@dataclass(frozen=True)
class Options:
    """Show what this machine offers and what to fix. Exits 1 if something keeps Baleen from working."""

    out: Path = Path("runs")
    """Folder that runs will be written to."""
    json: bool = False
    """Print one JSON object instead of a table."""


def main(argv: Sequence[str]) -> int:
    """Run `baleen doctor`. Returns 0, or 1 when a check failed; warnings do not count."""
    options = tyro.cli(Options, args=list(argv), prog="baleen doctor")
    checks = diagnose(options.out)
    if options.json:
        print(json.dumps({"checks": [asdict(check) for check in checks]}, indent=1))
    else:
        _print(checks)
    return int(any(check.state == "fail" for check in checks))


def _print(checks: Sequence[Check]) -> None:
    table = Table.grid(padding=(0, 2))
    for check in checks:
        mark, style = _STYLES[check.state]
        value = Text(check.value)
        if check.remedy:
            value.append(f"\n→ {check.remedy}", style)
        table.add_row(Text(mark, style), Text(check.name, "bold"), value)
    Console().print(table)
    states = {check.state for check in checks}
    if "fail" in states:
        print("Something above keeps Baleen from working.")
    else:
        print("Ready." if "warn" not in states else "Ready, but see the remarks above.")
