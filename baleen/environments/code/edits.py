"""Edits of files: whole lines replaced by others."""

from collections.abc import Iterable
from dataclasses import dataclass

from baleen.environments.code.tree import Tree, text_of, with_text
from baleen.environments.record import Record


@dataclass(frozen=True)
class Edit(Record):
    """Lines of a file that are replaced.

    Attributes:
        path: the file, relative to the root of the repository.
        line: number of the first replaced line, from 1.
        old: the replaced lines, without line ends.
        new: the lines that take their place.
    """

    path: str
    line: int
    old: tuple[str, ...]
    new: tuple[str, ...]


def apply_edits(tree: Tree, edits: Iterable[Edit]) -> Tree:
    """Apply edits one after another.

    Raises:
        ValueError: the lines of an edit are not in the file.
    """
    for edit in edits:
        text = text_of(tree, edit.path)
        lines = text.split("\n") if text is not None else []
        start, end = edit.line - 1, edit.line - 1 + len(edit.old)
        if tuple(lines[start:end]) != edit.old:
            raise ValueError(f"{edit.path}, line {edit.line}: these are not the lines that the edit replaces")
        lines[start:end] = edit.new
        tree = with_text(tree, edit.path, "\n".join(lines))
    return tree
