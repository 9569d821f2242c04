"""A corpus in one SQLite file: documents with a full-text index, and a graph of the entities that they describe.

    documents  id, title, text (the description), facts (one line per fact, "Part of: Germany [n08766988]")
    pages      FTS5 index of the documents: Porter stems, ranked by BM25, with five times the weight for the title
    entities   id (that of its document), names (JSON list, the title first)
    edges      subject, relation, object: typed links between entities
    labels     subject, label, value; numbers: subject, attribute, value
    about      key, value: source, licence, how facts are written

The tools of a policy read documents and pages only. The graph is for making questions, not for answering them.
"""

import json
import re
import sqlite3
import threading
import unicodedata
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baleen.environments.task import ToolFailure

ASKABLE = ("askable", "yes")
"""Label of the entities that questions may ask for; the others may only link them."""

_SCHEMA = """
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE documents (number INTEGER PRIMARY KEY, id TEXT UNIQUE, title TEXT, text TEXT, facts TEXT);
CREATE VIRTUAL TABLE pages USING fts5(
    title, text, facts, content='documents', content_rowid='number', tokenize='porter unicode61');
CREATE TABLE entities (id TEXT PRIMARY KEY, names TEXT);
CREATE TABLE edges (subject TEXT, relation TEXT, object TEXT, PRIMARY KEY (subject, relation, object)) WITHOUT ROWID;
CREATE TABLE labels (subject TEXT, label TEXT, value TEXT, PRIMARY KEY (label, value, subject)) WITHOUT ROWID;
CREATE TABLE numbers (subject TEXT, attribute TEXT, value REAL, PRIMARY KEY (attribute, value, subject))
    WITHOUT ROWID;
"""
_INDEXES = "CREATE INDEX edges_to ON edges (object, relation);"
_TERM = re.compile(r'"([^"]+)"|(\S+)')
_MAX_TERMS = 64  # of a query; a policy may paste in a long text
_SNIPPET_TOKENS = 24
_TITLE_WEIGHT = 5.0
# A word in more than this share of the documents takes time and hardly affects the ranking. It is never left out if it
# is in fewer documents than the second number.
_COMMON_SHARE = 0.2
_COMMON_FROM = 1000
_MAPPED_BYTES = 1 << 28


@dataclass(frozen=True)
class Document:
    """A document: a description in prose (`text`), and lines of the form "Name of the fact: value" (`facts`)."""

    id: str
    title: str
    text: str
    facts: str = ""


@dataclass(frozen=True)
class Entity:
    """The subject of a document.

    Attributes:
        id: also that of its document.
        names: all of its names, the title of the document first.
        labels: (label, value) pairs.
        numbers: (attribute, value) pairs.
        edges: (relation, id of the other entity) pairs.
    """

    id: str
    names: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()
    numbers: tuple[tuple[str, float], ...] = ()
    edges: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Hit:
    """One result of a search, with an excerpt around its matches."""

    id: str
    title: str
    snippet: str


def tokens(text: str) -> list[str]:
    """The words of a text in lower case and without diacritics, for exact comparison of wording."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", plain.casefold())


def write_corpus(
    path: Path, about: Mapping[str, Any], documents: Iterable[Document], entities: Iterable[Entity]
) -> None:
    """Write a corpus. The same documents and entities in the same order give the same bytes.

    Args:
        path: the file to write.
        about: source, license, and names of the fact lines; any JSON values.
        documents: all documents.
        entities: their subjects, in any order.

    Raises:
        OSError: the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as db, db:
        db.executescript(_SCHEMA)
        db.executemany("INSERT INTO about VALUES (?, ?)", [(k, json.dumps(about[k])) for k in sorted(about)])
        rows = ((d.id, d.title, d.text, d.facts) for d in documents)
        db.executemany("INSERT INTO documents (id, title, text, facts) VALUES (?, ?, ?, ?)", rows)
        db.execute("INSERT INTO pages (pages) VALUES ('rebuild')")
        db.execute("INSERT INTO pages (pages) VALUES ('optimize')")
        for entity in entities:
            names = json.dumps(entity.names, ensure_ascii=False)
            db.execute("INSERT INTO entities VALUES (?, ?)", (entity.id, names))
            for table, pairs in (
                ("edges", entity.edges),
                ("labels", entity.labels),
                ("numbers", entity.numbers),
            ):
                rows = ((entity.id, a, b) for a, b in pairs)
                db.executemany(f"INSERT OR IGNORE INTO {table} VALUES (?, ?, ?)", rows)
        db.executescript(_INDEXES)
    partial.replace(path)


class Corpus:
    """A corpus opened for reading. Thread-safe: each thread has its own connection."""

    def __init__(self, path: Path) -> None:
        """Open the corpus in `path`. Raises ToolFailure if the file is not a corpus."""
        self.path = path
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._frequency: dict[str, int] = {}  # term -> number of documents that contain it
        try:
            self.about: dict[str, Any] = {
                key: json.loads(value) for key, value in self.rows("SELECT key, value FROM about")
            }
            self._documents = int(self.rows("SELECT count(*) FROM documents")[0][0])
        except sqlite3.Error as error:
            raise ToolFailure(
                f"{path} is not a search corpus ({error}); `baleen synth search` writes one"
            ) from None

    def rows(self, query: str, values: Iterable[Any] = ()) -> list[Any]:
        """All rows of an SQL query, which may use the function says(text, phrase) of this module."""
        db = getattr(self._own, "db", None)
        if db is None:
            # immutable: no lock files next to a corpus that may be on a read-only disk
            address = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
            db = self._own.db = sqlite3.connect(address, uri=True, check_same_thread=False)
            db.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
            db.create_function("says", 2, says, deterministic=True)
            self._connections.append(db)
        return db.execute(query, tuple(values)).fetchall()

    def search(self, query: str, k: int) -> list[Hit]:
        """Find the k best documents for any words of a query. Nothing in a query is an error."""
        match = self._match_expression(query)
        if not match:
            return []
        best = self.rows(
            "SELECT rowid FROM pages WHERE pages MATCH ? ORDER BY bm25(pages, ?, 1.0, 1.0), rowid LIMIT ?",
            (match, _TITLE_WEIGHT, k),
        )
        # Excerpts are made in a second step; in the first, SQLite would make one for every match.
        excerpt = (
            "SELECT documents.id, documents.title, snippet(pages, -1, '', '', ' … ', ?) FROM pages "
            "JOIN documents ON documents.number = pages.rowid WHERE pages MATCH ? AND pages.rowid = ?"
        )
        return [Hit(*self.rows(excerpt, (_SNIPPET_TOKENS, match, row[0]))[0]) for row in best]

    def document(self, document_id: str) -> Document | None:
        found = self.rows(
            "SELECT id, title, text, facts FROM documents WHERE id = ?", (encodable(document_id),)
        )
        return Document(*found[0]) if found else None

    def close(self) -> None:
        for db in self._connections:
            db.close()

    def _match_expression(self, query: str) -> str:
        """FTS5's expression for any of the terms, without very common ones unless there are no others."""
        terms = query_terms(query)[:_MAX_TERMS]
        for term in terms:
            if term not in self._frequency:
                found = self.rows("SELECT count(*) FROM pages WHERE pages MATCH ?", (term,))
                self._frequency[term] = int(found[0][0])
        most = max(_COMMON_FROM, _COMMON_SHARE * self._documents)
        rare = [term for term in terms if self._frequency[term] <= most]
        return " OR ".join(rare or terms)


def query_terms(query: str) -> list[str]:
    """The terms of free text in FTS5's syntax.

    Words in double quotes are one term: they must follow one another. So must the parts of a word with a hyphen.
    Nothing else has a special meaning.
    """
    found = (quoted or word.replace('"', " ") for quoted, word in _TERM.findall(encodable(query)))
    return list(dict.fromkeys(f'"{term}"' for term in found if tokens(term)))


def says(text: str, phrase: str) -> bool:
    """Whether the words of the phrase appear in the text, one after another."""
    return is_run(tokens(phrase), tokens(text))


def is_run(wanted: Iterable[str], words: Iterable[str]) -> bool:
    """Whether the words `wanted`, at least one, appear in `words`, one after another."""
    run = " ".join(wanted)
    return bool(run) and f" {run} " in f" {' '.join(words)} "


def encodable(text: str) -> str:
    """`text` without lone surrogates and null characters, which JSON can express but SQLite cannot store."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
