"""Where repositories come from: source distributions by pip, and the user's own folders."""

import io
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from baleen.config.errors import UserError
from baleen.environments.code.launcher import Files, is_inside
from baleen.environments.code.tree import MAX_TREE_BYTES, MAX_TREE_FILES, Tree, TreeError, read_folder

_PIP_SECONDS = 600
_MAX_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class Package:
    """A repository at one version. licence: as its metadata words it."""

    name: str
    version: str
    tree: Tree
    licence: str = ""

    @property
    def key(self) -> str:
        return f"{self.name}-{self.version}"


class SourceError(ValueError):
    """A source distribution that cannot be had or read."""


def download(name: str, version: str, cache: Path) -> Package:
    """The source distribution of a package, from `cache` or by pip. Raises SourceError.

    pip runs the package's own build script to learn its metadata, as every installation from source does.
    """
    path = _cached(name, version, cache) or _fetch(name, version, cache)
    return read_sdist(path, name)


def _fetch(name: str, version: str, cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    # Into a folder of its own first: a file that pip was killed over must not be taken for a whole one.
    with tempfile.TemporaryDirectory(dir=cache) as partial:
        try:
            run_pip("download", "--no-deps", "--no-binary", ":all:", "-d", partial, f"{name}=={version}")
        except SourceError:
            # pip saves the file before it trips over the odd metadata of old releases.
            if _cached(name, version, Path(partial)) is None:
                raise
        path = _cached(name, version, Path(partial))
        if path is None:
            raise SourceError(f"pip downloaded no .tar.gz of {name}=={version}")
        os.replace(path, cache / path.name)
    return cache / path.name


def _cached(name: str, version: str, cache: Path) -> Path | None:
    for path in sorted(cache.glob("*.tar.gz")):
        stem, _, found = path.name.removesuffix(".tar.gz").rpartition("-")
        if canonicalize_name(stem) == canonicalize_name(name) and found == version:
            return path
    return None


def read_sdist(path: Path, name: str) -> Package:
    """The files of a `.tar.gz` below its one top folder; links and files over 1 MiB are left out."""
    version = path.name.removesuffix(".tar.gz").rpartition("-")[2]
    tree: Files = {}
    total = 0
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                inside = member.name.removeprefix("./").partition("/")[2]
                if not member.isreg() or member.issparse() or member.size > _MAX_FILE_BYTES:
                    continue
                if not is_inside(inside):
                    continue
                content = archive.extractfile(member) or io.BytesIO()
                total += member.size
                if total > MAX_TREE_BYTES or len(tree) >= MAX_TREE_FILES:
                    raise SourceError(f"{path.name} is larger than a workspace may be")
                tree[inside] = ("100755" if member.mode & 0o100 else "100644", content.read())
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SourceError(f"{path.name} cannot be read: {error}") from None
    if not tree:
        raise SourceError(f"{path.name} has no files")
    return Package(canonicalize_name(name), version, tree, _licence(tree))


def _licence(tree: Tree) -> str:
    text = tree.get("PKG-INFO", ("", b""))[1].decode("utf-8", "replace").partition("\n\n")[0]
    for field in ("License-Expression", "License"):
        found = re.search(rf"^{field}: *(.+)$", text, re.MULTILINE)
        if found:
            return found[1].strip()[:80]
    classified = re.search(r"^Classifier: License ::.*:: *(.+)$", text, re.MULTILINE)
    return classified[1].strip() if classified else ""


def own_folder(path: Path) -> Package:
    """A user's repository. Raises UserError."""
    try:
        tree = read_folder(path.resolve())
    except (TreeError, OSError) as error:
        raise UserError(f"--repo {path}: {error}") from None
    return Package(re.sub(r"[^A-Za-z0-9_.-]", "-", path.resolve().name), "own", tree)


def released_versions(name: str) -> list[str]:
    """All final versions that pip finds, oldest first. Raises SourceError."""
    text = run_pip("index", "versions", name)
    found = re.search(r"^Available versions: (.+)$", text, re.MULTILINE)
    versions = []
    for word in (found[1] if found else "").split(","):
        try:
            version = Version(word.strip())
        except InvalidVersion:
            continue
        if not version.is_prerelease and not version.is_devrelease:
            versions.append((version, word.strip()))
    return [word for _, word in sorted(versions)]


def run_pip(*arguments: str) -> str:
    """pip's output. Raises SourceError with its last line of trouble."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SourceError(f"pip {arguments[0]}: {error}") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise SourceError(
            f"pip {arguments[0]}: {(lines or done.stderr.splitlines() or ['failed'])[-1][:300]}"
        )
    return done.stdout
