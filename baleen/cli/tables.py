"""Terminal tables in one style."""

from collections.abc import Sequence

from rich.table import Table


def new_table(title: str, texts: Sequence[str] = (), numbers: Sequence[str] = ()) -> Table:
    """A table with its title on the left. texts, numbers: headings of left- and right-aligned columns."""
    table = Table(title=title, title_justify="left")
    for heading in texts:
        table.add_column(heading)
    for heading in numbers:
        table.add_column(heading, justify="right")
    return table
