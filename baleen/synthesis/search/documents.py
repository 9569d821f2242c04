"""A user's own documents as a corpus: titles are the entities, a title in another document's text is an edge."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from baleen.config.errors import UserError
from baleen.environments.search.corpus import ASKABLE, Document, Entity, write_corpus
from baleen.synthesis.search.mentions import NameFinder

_YEAR = re.compile(r"\b\d{3,4}\b")
_SUFFIXES = (".txt", ".md", ".rst", ".text")
ABOUT: dict[str, Any] = {
    "corpus": "documents",
    "noun": "document",
    "lines": {"mentions": ["", ""]},
    "label_lines": {},
    "number_lines": {},
}


def read_documents(source: Path) -> list[Document]:
    """Documents of a folder of text files (title: the file's name) or of a JSONL of title, text and perhaps id.

    Raises UserError, OSError.
    """
    found = list(_from_jsonl(source) if source.is_file() else _from_folder(source))
    if len(found) < 2:
        raise UserError(
            f"{source} has {len(found)} documents; give a folder of {', '.join(_SUFFIXES)} files or a JSONL "
            "of title and text"
        )
    seen: set[str] = set()
    for document in found:
        if document.id in seen:
            raise UserError(f"{source} has two documents of id {document.id!r}; make ids (or titles) unique")
        seen.add(document.id)
    return found


def build(source: Path, path: Path) -> None:
    """Write the corpus of the documents at `source`. Raises UserError, OSError."""
    documents = read_documents(source)
    finder = NameFinder({d.id: (d.title,) for d in documents})
    about = ABOUT | {"source": source.name, "licence": "as its owner says"}
    write_corpus(path, about, documents, (_entity(d, finder) for d in documents))


def _entity(document: Document, finder: NameFinder) -> Entity:
    certain, doubtful = finder.find(document.text)
    edges = [("mentions", i) for i in sorted(certain - {document.id})]
    edges += [("may_mention", i) for i in sorted(doubtful - {document.id})]
    numbers = tuple(("number", float(year)) for year in _YEAR.findall(document.text))
    return Entity(document.id, (document.title,), (ASKABLE,), numbers, tuple(edges))


def _from_folder(folder: Path) -> Iterator[Document]:
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in _SUFFIXES and path.is_file():
            title = path.stem.replace("_", " ")
            text = path.read_text(encoding="utf-8", errors="replace")
            yield Document(_id(str(path.relative_to(folder))), title, text)


def _from_jsonl(path: Path) -> Iterator[Document]:
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                title, text = row["title"], row["text"]
                yield Document(_id(str(row.get("id", title))), str(title), str(text))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise UserError(
                    f'{path}, line {number} is not a JSON object with "title" and "text"'
                ) from None


def _id(name: str) -> str:
    """An id as results and pages show it in brackets."""
    return re.sub(r"[\[\]\s]+", "_", name)
