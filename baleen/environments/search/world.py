"""The world of search tasks: a corpus behind the tools `search`, `open` and `find`, and a check of the answer."""

import re
import unicodedata
from pathlib import Path

from baleen.chat import Message
from baleen.environments.search.corpus import Corpus, Document, encodable
from baleen.environments.search.task import SearchTask
from baleen.environments.task import Task, ToolFailure, final_content
from baleen.environments.toolbox import Tool, Toolbox, ToolError, parameters

CORPUS_FILE = "corpus.db"
"""File name of the corpus in the assets folder of a synthesis."""

PAGE_CHARACTERS = 3000
MAX_RESULTS = 50
_DEFAULT_RESULTS = 10
_MAX_MATCHES = 10
_AROUND = 80  # characters shown on either side of a match

_SEARCH = parameters(
    {
        "query": {
            "type": "string",
            "description": 'words to look for; any of them may match, and "words in quotes" must appear together',
        },
        "k": {"type": "integer", "minimum": 1, "maximum": MAX_RESULTS, "description": "number of results"},
    },
    required=["query"],
)
_OPEN = parameters(
    {"id": {"type": "string"}, "page": {"type": "integer", "minimum": 1}},
    required=["id"],
)
_FIND = parameters({"id": {"type": "string"}, "pattern": {"type": "string", "minLength": 1}})


def search_tools(corpus: Corpus | None) -> list[Tool]:
    """The three tools on a corpus. With None only their schemas are of use, for the messages of a task."""

    def the_corpus() -> Corpus:
        if corpus is None:
            raise ToolFailure("these tools have no corpus")
        return corpus

    def page_of(document_id: str) -> Document:
        document = the_corpus().document(document_id)
        if document is None:
            raise ToolError(
                f"no document {document_id[:80]!r}; ids are shown in brackets in results and pages"
            )
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
        shown = [f"- {_around(text, spot, len(pattern))}" for spot in spots[:_MAX_MATCHES]]
        more = [f"({len(spots) - _MAX_MATCHES} more)"] if len(spots) > _MAX_MATCHES else []
        return "\n".join([*shown, *more]) or "not found"

    return [
        Tool(
            "search",
            "Search the corpus. Returns ids, titles and excerpts of the best documents.",
            _SEARCH,
            search,
        ),
        Tool(
            "open", f"Open one page of a document (about {PAGE_CHARACTERS:,} characters).", _OPEN, open_page
        ),
        Tool("find", "Find the places where a document contains a text, ignoring case.", _FIND, find),
    ]


SYSTEM_MESSAGE: Message = {
    "role": "system",
    "content": "Use the tools to find the answer in the corpus. Reply with just the name.",
    "tools": [tool.schema for tool in search_tools(None)],
}


class SearchWorld:
    """An episode of a search task. Its tools change nothing."""

    def __init__(self, task: Task, assets: Path | None) -> None:
        """Open the corpus.

        Args:
            task: a task whose data is a `SearchTask`.
            assets: the folder with the corpus.

        Raises:
            TaskError: the data is damaged.
            ToolFailure: there is no corpus.
        """
        self.task = task
        self._names = (task.answer, *SearchTask.of(task).aliases)
        if assets is None:
            raise ToolFailure("a search task needs the assets folder of its synthesis, which has the corpus")
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
        return float(is_named(content, self._names))

    def snapshot(self) -> bytes:
        return b""  # nothing an episode does leaves a trace

    def restore(self, state: bytes) -> None:
        pass

    def close(self) -> None:
        self._corpus.close()


def is_named(answer: str, names: tuple[str, ...]) -> bool:
    """Whether the last line of an answer is one of the names, ignoring case, articles, accents and punctuation."""
    lines = [line for line in answer.splitlines() if line.strip()]
    last = re.sub(r"^\W*(final )?answer\W*:", "", lines[-1], flags=re.IGNORECASE) if lines else ""
    given = normalized(last)
    return bool(given) and given in {normalized(name) for name in names}


def normalized(name: str) -> str:
    """A name in the form in which answers are compared. Plus and sharp signs stay, because C++ and C# are not C."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    words = re.findall(r"(?:[^\W_]|[+#])+", plain.casefold())
    return " ".join([word for word in words if word not in ("a", "an", "the")] or words)


def full_text(document: Document) -> str:
    return "\n\n".join(filter(None, (document.text, document.facts)))


def pages_of(document: Document) -> list[str]:
    """The pages of a document, cut between lines unless a line is longer than a page."""
    pages = [""]
    for line in full_text(document).splitlines(keepends=True):
        for start in range(0, len(line), PAGE_CHARACTERS):
            part = line[start : start + PAGE_CHARACTERS]
            if pages[-1] and len(pages[-1]) + len(part) > PAGE_CHARACTERS:
                pages.append("")
            pages[-1] += part
    return [page.strip("\n") for page in pages]


def _around(text: str, spot: int, length: int) -> str:
    start, end = max(0, spot - _AROUND), spot + length + _AROUND
    return " ".join(f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}".split())
