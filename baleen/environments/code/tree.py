"""A repository as a value: paths and contents in memory. Model-written code turns one such value into another.

Nothing of it is written to the host's disk, so links that leave it, hostile names and full disks concern only the
sandbox.
"""

import hashlib
import os
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baleen.environments.code.launcher import Files, is_inside, pack, unpack

Tree = Mapping[str, tuple[str, bytes]]  # path -> (mode in git's notation, content)

MAX_TREE_BYTES = 32 << 20
MAX_TREE_FILES = 4_000
_MAX_FILE_BYTES = 1 << 20  # larger files in a user's folder are data, not code
_SKIPPED_FOLDERS = frozenset(
    {".git", ".hg", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", "build", "dist", ".eggs"}
    | {".mypy_cache", ".ruff_cache", ".pytest_cache", ".idea", ".vscode", ".hypothesis"}
)


class TreeError(ValueError):
    """A folder cannot be read as a tree; the message says what to do."""


def text_of(tree: Tree, path: str) -> str | None:
    """The text of a regular UTF-8 file; None for anything else."""
    mode, content = tree.get(path, ("", b""))
    if mode not in ("100644", "100755"):
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def with_text(tree: Tree, path: str, text: str) -> Tree:
    """The tree with the text of one file replaced, or with a new file."""
    mode = tree[path][0] if path in tree else "100644"
    return {**tree, path: (mode, text.encode())}


def digest(tree: Tree) -> str:
    """A hash of the tree, equal for equal trees."""
    state = hashlib.blake2b(digest_size=16)
    for path in sorted(tree):
        mode, content = tree[path]
        state.update(f"{mode} {len(content)} {path}\0".encode("utf-8", "surrogateescape") + content)
    return state.hexdigest()


def to_bytes(tree: Tree, header: Mapping[str, Any] | None = None) -> bytes:
    """Serialize a tree as a zlib-compressed frame, with an optional header."""
    return zlib.compress(pack(dict(header or {}), dict(tree)), 6)


def from_bytes(data: bytes) -> Files:
    """The inverse of `to_bytes`. Raises FrameError."""
    return unpack(zlib.decompress(data))[1]


def read_folder(folder: Path) -> Tree:
    """Read a user's repository: the tracked files if it has a .git, otherwise all files except caches and builds.

    Links, files over 1 MiB and names that are not UTF-8 are left out.

    Raises:
        TreeError: the folder is empty or too large.
    """
    tree: Files = {}
    total = 0
    for path in _tracked(folder) if (folder / ".git").exists() else _walked(folder):
        place = folder / path
        if place.is_symlink() or not place.is_file() or place.stat().st_size > _MAX_FILE_BYTES:
            continue
        mode = "100755" if os.access(place, os.X_OK) else "100644"
        tree[path] = (mode, place.read_bytes())
        total += len(tree[path][1])
        if total > MAX_TREE_BYTES or len(tree) > MAX_TREE_FILES:
            raise TreeError(
                f"{folder} has more than {MAX_TREE_FILES} files or {MAX_TREE_BYTES >> 20} MiB; "
                "give the folder of one package of it"
            )
    if not tree:
        raise TreeError(f"{folder} has no files")
    return tree


def _tracked(folder: Path) -> list[str]:
    command = ["git", "-C", str(folder), "ls-files", "-z", "--cached"]
    try:
        done = subprocess.run(command, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return _walked(folder)
    names = (os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    return sorted(name for name in names if is_inside(name) and name.isprintable())


def _walked(folder: Path) -> list[str]:
    found = []
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - _SKIPPED_FOLDERS)
        found += [os.path.relpath(os.path.join(at, name), folder) for name in names if name.isprintable()]
    return sorted(path.replace(os.sep, "/") for path in found)
