"""The world of search tasks: a corpus behind `search`, `open` and `find`, and an exact check of the answer."""

import re
import unicodedata
from pathlib import Path

from baleen.chat import Message
from baleen.environments.search.corpus import Corpus, Document, encodable
from baleen.environments.task import Task, ToolFailure, final_content
from baleen.environments.toolbox import Tool, Toolbox, ToolError, parameters

CORPUS_FILE = "corpus.db"
"""Name of the corpus in a run's assets."""

PAGE_CHARACTERS = 3000
MOST_RESULTS = 50
_DEFAULT_RESULTS = 10
_MOST_MATCHES = 10
_AROUND = 80  # characters shown on either side of a match

_SEARCH = parameters(
    {
        "query": {
            "type": "string",
            "description": 'words to look for, any of them may match; "words in quotes" must stand together',
        },
        "k": {"type": "integer", "minimum": 1, "maximum": MOST_RESULTS, "description": "how many results"},
    },
    required=["query"],
)
_OPEN = parameters(
    {"id": {"type": "string"}, "page": {"type": "integer", "minimum": 1}},
    required=["id"],
)
_FIND = parameters({"id": {"type": "string"}, "pattern": {"type": "string", "minLength": 1}})


def search_tools(corpus: Corpus | None) -> list[Tool]:
    """The three tools over `corpus`; None: their schemas alone, for the messages of a task."""

    def the_corpus() -> Corpus:
        if corpus is None:
            raise ToolFailure("these tools have no corpus")
        return corpus

    def page_of(document_id: str) -> Document:
        document = the_corpus().document(document_id)
        if document is None:
            raise ToolError(f"no document {document_id[:80]!r}; ids stand in brackets in results and pages")
        return document

    def search(query: str, k: int = _DEFAULT_RESULTS) -> str:
        hits = the_corpus().search(query, k)
        lines = [
            f"{i}. [{hit.id}] {hit.title}: {' '.join(hit.snippet.split())}" for i, hit in enumerate(hits, 1)
        ]
        return "\n".join(lines) or "no results"

    def open_page(id: str, page: int = 1) -> str:
        document = page_of(id)
        parts = pages_of(document)
        if page > len(parts):
            raise ToolError(f"page is {page}; {document.id} has {len(parts)}")
        return f"{document.title} [{document.id}], page {page} of {len(parts)}\n\n{parts[page - 1]}"

    def find(id: str, pattern: str) -> str:
        text = full_text(page_of(id))
        spots = [m.start() for m in re.finditer(re.escape(encodable(pattern)), text, re.IGNORECASE)]
        shown = [f"- {_around(text, spot, len(pattern))}" for spot in spots[:_MOST_MATCHES]]
        more = [f"({len(spots) - _MOST_MATCHES} more)"] if len(spots) > _MOST_MATCHES else []
        return "\n".join([*shown, *more]) or "not found"

    return [
        Tool("search", "Search the corpus: ids, titles and excerpts of the best documents.", _SEARCH, search),
        Tool("open", f"One page (about {PAGE_CHARACTERS:,} characters) of a document.", _OPEN, open_page),
        Tool("find", "Places where a document contains a text, whatever the case.", _FIND, find),
    ]


SYSTEM_MESSAGE: Message = {
    "role": "system",
    "content": "Answer from the corpus that the tools search. Give the name alone as your answer.",
    "tools": [tool.schema for tool in search_tools(None)],
}


class SearchWorld:
    """An episode of a search task. Nothing in it changes anything."""

    def __init__(self, task: Task, assets: Path | None) -> None:
        """assets: the folder with the corpus. Raises ToolFailure when it has none."""
        self.task = task
        if assets is None:
            raise ToolFailure("a search task needs the assets folder of its run, for the corpus")
        self._corpus = Corpus(assets / CORPUS_FILE)
        self._toolbox = Toolbox(search_tools(self._corpus))

    def reset(self) -> list[Message]:
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        return self._toolbox.answer(assistant)

    def score(self, final: Message) -> float:
        content = final_content(final)
        if content is None:
            return 0.0
        return float(is_named(content, (self.task.answer, *self.task.data.get("aliases", ()))))

    def snapshot(self) -> bytes:
        return b""  # nothing an episode does leaves a trace

    def restore(self, state: bytes) -> None:
        pass

    def close(self) -> None:
        self._corpus.close()


def is_named(answer: str, names: tuple[str, ...]) -> bool:
    """Whether the last line of an answer is one of the names, up to case, articles, accents and punctuation."""
    lines = [line for line in answer.splitlines() if line.strip()]
    last = re.sub(r"^\W*(final )?answer\W*:", "", lines[-1], flags=re.IGNORECASE) if lines else ""
    given = normalised(last)
    return bool(given) and given in {normalised(name) for name in names}


def normalised(name: str) -> str:
    """A name as answers are compared. Plus and sharp signs stay: they tell C from C++ and C#."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    words = re.findall(r"(?:[^\W_]|[+#])+", plain.casefold())
    return " ".join([word for word in words if word not in ("a", "an", "the")] or words)


def full_text(document: Document) -> str:
    return "\n\n".join(filter(None, (document.text, document.facts)))


def pages_of(document: Document) -> list[str]:
    """The document in pages, cut between lines where lines are not longer than a page."""
    pages = [""]
    for line in full_text(document).splitlines(keepends=True):
        for start in range(0, len(line), PAGE_CHARACTERS):
            piece = line[start : start + PAGE_CHARACTERS]
            if pages[-1] and len(pages[-1]) + len(piece) > PAGE_CHARACTERS:
                pages.append("")
            pages[-1] += piece
    return [page.strip("\n") for page in pages]


def _around(text: str, spot: int, length: int) -> str:
    start, end = max(0, spot - _AROUND), spot + length + _AROUND
    return " ".join(f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}".split())
