"""Real text to train on: the interpreter's own standard library, and what the user names with `--text`.

A document is one string. The standard library gives two for a file: its docstrings as prose, and its source.
Order and the held-out split depend on hashes of names and content only, so every run sees the same documents.
"""

import ast
import hashlib
import json
import os
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from baleen.config.errors import UserError

HELD_OUT = 0.05  # share of files, and of bytes, that training never sees
SUFFIXES = (".txt", ".md", ".rst", ".py", ".jsonl")
_SECTION_CHARS = (
    8000  # a single user file is cut into sections of about this size, so that some can be held out
)
_LARGEST_SOURCE = 200_000  # bytes; the standard library's larger files are tables
# Tests repeat themselves, bundled wheels are not text, encodings and pydoc_data are generated tables.
_SKIPPED = frozenset(
    ("test", "tests", "idle_test", "site-packages", "dist-packages", "encodings", "pydoc_data", "_bundled")
)


@dataclass(frozen=True)
class Corpus:
    """Documents, each list in a fixed order. No file is in both.

    Attributes:
        train: documents to train on.
        heldout: documents to measure on.
    """

    train: list[str]
    heldout: list[str]


def load_corpus(text: Path | None, max_bytes: int, with_library: bool = True) -> Corpus:
    """Load text to train on.

    The last document of each side is cut to fit, after a complete line if it has one.

    Args:
        text: the user's file or folder, which comes first; None for none.
        max_bytes: most UTF-8 bytes of documents, of which `HELD_OUT` are held out.
        with_library: whether the sources of the standard library fill what `text` leaves.

    Raises:
        UserError: there is no text at all, or `text` does not exist, cannot be read, is empty, is binary or has no
            known suffix.
    """
    train = _Side(max_bytes - int(max_bytes * HELD_OUT))
    heldout = _Side(int(max_bytes * HELD_OUT))
    for key, document in _all_documents(text, max_bytes, with_library):
        (heldout if _is_heldout(key) else train).add(document)
        if train.full and heldout.full:
            break
    if not train.documents:
        where = (
            f"found no Python sources in {sysconfig.get_path('stdlib')}"
            if with_library
            else "there is no text"
        )
        raise UserError(f"{where}; name a file or folder with --text")
    if not heldout.documents:  # a very small corpus: hold out the end of the last document
        last = train.documents.pop()
        cut = _cut(last, int(len(last.encode()) * (1 - HELD_OUT)))
        train.documents.append(cut)
        heldout.documents.append(last[len(cut) :])
    return Corpus(train.documents, heldout.documents)


class _Side:
    """Collects documents until `room` bytes are filled."""

    def __init__(self, room: int) -> None:
        self.documents: list[str] = []
        self._room = room

    @property
    def full(self) -> bool:
        return self._room <= 0

    def add(self, document: str) -> None:
        if self.full:
            return
        size = len(document.encode())
        part = document if size <= self._room else _cut(document, self._room)
        if part:
            self.documents.append(part)
        self._room -= size


def _all_documents(text: Path | None, max_bytes: int, with_library: bool) -> Iterator[tuple[str, str]]:
    """(key, document) of the user's text, then of the standard library; the key decides the split."""
    if text is not None:
        yield from _user_documents(text, max_bytes)
    if not with_library:
        return
    library = Path(sysconfig.get_path("stdlib"))
    names: list[str] = []
    for folder, below, files in os.walk(library):
        below[:] = [name for name in below if name not in _SKIPPED]
        inside = Path(folder).relative_to(library)
        names += [(inside / file).as_posix() for file in files if file.endswith(".py")]
    # by hash, not by name: a small corpus is then a fair sample, not the modules that begin with "a"
    for name in sorted(names, key=lambda name: _digest(f"order:{name}")):
        for document in _library_documents(library / name):
            yield name, document


def _library_documents(path: Path) -> Iterator[str]:
    """Docstrings, then source, of one file; nothing for a generated table or what is not UTF-8 Python."""
    if path.stat().st_size > _LARGEST_SOURCE:
        return
    try:
        source = path.read_text(encoding="utf-8")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in old modules are not the reader's concern
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return
    if "generated" in source[:600].lower():
        return
    prose = "\n\n".join(_docstrings(tree))
    if prose:
        yield prose + "\n"
    if source.strip():
        yield source


def _docstrings(tree: ast.Module) -> Iterator[str]:
    """Docstrings of the module, its classes and functions, in the source's order, indentation removed."""
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    for node in sorted(nodes, key=lambda node: getattr(node, "lineno", 0)):
        documentation = ast.get_docstring(node)
        if documentation and documentation.strip():
            yield documentation.strip()


def _user_documents(path: Path, max_bytes: int) -> Iterator[tuple[str, str]]:
    """(key, document) of a file's sections, or of the files of a folder, in the order of their names."""
    if path.is_dir():
        files = [file for file in sorted(path.rglob("*")) if file.suffix in SUFFIXES and file.is_file()]
        files = [
            file for file in files if not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
        if not files:
            raise UserError(
                f"--text {path} holds no {', '.join(SUFFIXES)} file; name a folder or file that does"
            )
    elif not path.exists():
        raise UserError(f"--text {path} does not exist; name a file or folder of text")
    elif path.suffix not in SUFFIXES or not path.is_file():
        raise UserError(f"--text {path} is no {', '.join(SUFFIXES)} file; rename or convert it")
    else:
        files = [path]
    found = False
    for file in files:
        whole = len(files) > 1 and file.suffix != ".jsonl"
        for document in _file_documents(file, whole, max_bytes):
            found = True
            yield (file.relative_to(path).as_posix() if whole else document), document
    if not found:
        raise UserError(f"--text {path} is empty; name a file or folder that holds text")


def _file_documents(file: Path, whole: bool, max_bytes: int) -> Iterator[str]:
    content = _read(file, max_bytes)
    if file.suffix == ".jsonl":
        yield from _jsonl_documents(file, content)
    elif whole and content.strip():
        yield content
    elif content.strip():
        yield from _sections(content)


def _read(file: Path, max_bytes: int) -> str:
    """The text of `file`; of a file larger than `max_bytes`, the lines that fit."""
    try:
        with open(file, "rb") as stream:
            raw = stream.read(max_bytes + 1)
    except OSError as error:
        raise UserError(f"--text {file} cannot be read ({error.strerror}); check its permissions") from None
    if len(raw) > max_bytes:
        whole = raw.rfind(b"\n", 0, max_bytes) + 1
        raw = raw[:whole] if whole else raw[:max_bytes].decode(errors="ignore").encode()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"--text {file} is not UTF-8 text (byte {error.start}); convert it, or leave it out"
        ) from None
    if "\0" in text:
        raise UserError(f"--text {file} is binary (it holds NUL bytes); leave it out")
    return text.replace("\r\n", "\n")


def _jsonl_documents(file: Path, content: str) -> Iterator[str]:
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        try:
            text = json.loads(line)["text"]
            text.encode()  # refuses the half of a surrogate pair, which JSON can spell and UTF-8 cannot
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise UserError(
                f'--text {file} line {number} is not a JSON object with a "text" string; mend it'
            ) from None
        if text.strip():
            yield text


def _sections(content: str) -> Iterator[str]:
    """`content` in parts of at least `_SECTION_CHARS`, cut at blank lines; nothing is lost between them."""
    start = 0
    while start < len(content):
        end = content.find("\n\n", start + _SECTION_CHARS)
        end = len(content) if end < 0 else end + 2
        yield content[start:end]
        start = end


def _cut(document: str, size: int) -> str:
    """The first lines of `document` that fit in `size` bytes; part of the first if not even that fits."""
    part = document.encode()[: max(0, size)].decode(errors="ignore")
    whole = part.rfind("\n") + 1
    return part[:whole] if whole else part


def _is_heldout(key: str) -> bool:
    return int.from_bytes(_digest(f"split:{key}")[:8], "big") < HELD_OUT * 2**64


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()  # a file name may not be UTF-8
