"""A corpus in one SQLite file: documents under a full-text index, and what is known of the entities they describe.

    documents  id, title, text (the description), facts (one line per fact, "Part of: Germany [n08766988]")
    pages      FTS5 index of the above, Porter stems, ranked by BM25 with the title counting five times
    entities   id (that of its document), names (JSON list, the title first)
    edges      subject, relation, object: typed links between entities
    labels     subject, label, value; numbers: subject, attribute, value
    about      key, value: source, licence, how facts are written

Tools read documents and pages; the graph is for those who ask questions, not for those who answer.
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
"""Label of entities that questions may ask for; the others may only stand in between."""

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
_MOST_TERMS = 64  # of a query: what a policy pastes in can be long
_SNIPPET_TOKENS = 24
_TITLE_WEIGHT = 5.0
_COMMON_SHARE = 0.2  # of the documents: a word in more of them costs time and hardly moves the ranking
_COMMON_FROM = 1000  # documents: below it there is no time to save
_MAPPED_BYTES = 1 << 28


@dataclass(frozen=True)
class Document:
    """A page. text describes it in prose; facts are lines "Name of the fact: value"."""

    id: str
    title: str
    text: str
    facts: str = ""


@dataclass(frozen=True)
class Entity:
    """What is known of a document's subject. names: the title first; edges: (relation, id of the other entity)."""

    id: str
    names: tuple[str, ...]
    labels: tuple[tuple[str, str], ...] = ()
    numbers: tuple[tuple[str, float], ...] = ()
    edges: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Hit:
    """One result of a search, with the words around its matches."""

    id: str
    title: str
    snippet: str


def tokens(text: str) -> list[str]:
    """Lower-case words without diacritics, as exact comparisons of wording see them."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.findall(r"[^\W_]+", plain.casefold())


def write_corpus(
    path: Path, about: Mapping[str, Any], documents: Iterable[Document], entities: Iterable[Entity]
) -> None:
    """Write a corpus; the same documents and entities in the same order give the same file. Raises OSError."""
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
    """A corpus opened for reading only. Safe to use from many threads: each has a connection of its own."""

    def __init__(self, path: Path) -> None:
        """Raises ToolFailure when the file is not a corpus."""
        self.path = path
        self._own = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._having: dict[str, int] = {}  # term -> documents that have it
        try:
            self.about: dict[str, Any] = {
                key: json.loads(value) for key, value in self.rows("SELECT key, value FROM about")
            }
            self._documents = int(self.rows("SELECT count(*) FROM documents")[0][0])
        except sqlite3.Error as error:
            raise ToolFailure(
                f"{path} is no search corpus ({error}); `baleen synth search` writes one"
            ) from None

    def rows(self, query: str, values: Iterable[Any] = ()) -> list[Any]:
        """All rows of an SQL query. It may use says(text, phrase): whether the words of the phrase stand in a row."""
        db = getattr(self._own, "db", None)
        if db is None:
            # immutable: no lock files beside a corpus that may lie on a read-only disk
            address = f"{self.path.absolute().as_uri()}?mode=ro&immutable=1"
            db = self._own.db = sqlite3.connect(address, uri=True, check_same_thread=False)
            db.execute(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
            db.create_function("says", 2, says, deterministic=True)
            self._connections.append(db)
        return db.execute(query, tuple(values)).fetchall()

    def search(self, query: str, k: int) -> list[Hit]:
        """The k best documents for any of the words of `query`; "a-b" asks for a beside b. Never fails."""
        match = self._telling(query)
        if not match:
            return []
        best = self.rows(
            "SELECT rowid FROM pages WHERE pages MATCH ? ORDER BY bm25(pages, ?, 1.0, 1.0), rowid LIMIT ?",
            (match, _TITLE_WEIGHT, k),
        )
        # excerpts in a second step: in the first SQLite would make them for every match
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

    def _telling(self, query: str) -> str:
        """FTS5's query for any of the words, without those that tell little unless there are no others."""
        terms = query_terms(query)[:_MOST_TERMS]
        for term in terms:
            if term not in self._having:
                found = self.rows("SELECT count(*) FROM pages WHERE pages MATCH ?", (term,))
                self._having[term] = int(found[0][0])
        most = max(_COMMON_FROM, _COMMON_SHARE * self._documents)
        rare = [term for term in terms if self._having[term] <= most]
        return " OR ".join(rare or terms)


def query_terms(query: str) -> list[str]:
    """The words of free text as FTS5 takes them; nothing else in it is syntax.

    What stands in double quotes is one term, its words one after another; so is "a-b".
    """
    found = (quoted or word.replace('"', " ") for quoted, word in _TERM.findall(encodable(query)))
    return list(dict.fromkeys(f'"{term}"' for term in found if tokens(term)))


def says(text: str, phrase: str) -> bool:
    """Whether the words of the phrase stand in the text, one after another."""
    return is_run(tokens(phrase), tokens(text))


def is_run(wanted: Iterable[str], words: Iterable[str]) -> bool:
    """Whether the words `wanted`, at least one, stand in `words`, one after another."""
    run = " ".join(wanted)
    return bool(run) and f" {run} " in f" {' '.join(words)} "


def encodable(text: str) -> str:
    """The text without what SQLite cannot take: lone surrogates, which JSON can spell, and null characters."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", " ")
