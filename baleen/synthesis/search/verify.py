"""Passes that confirm a truth: an SQL query over the whole corpus, a generous reading, the documents themselves,
and models that are asked to check it."""

import json
import re
from collections.abc import Sequence
from typing import Any

from baleen.agent.model import ChatModel, Reply
from baleen.environments.search.corpus import Corpus, query_terms
from baleen.environments.search.task import FactLines
from baleen.environments.search.world import full_text, search_tools
from baleen.environments.task import call_message
from baleen.environments.toolbox import Toolbox
from baleen.synthesis.search.form import Unknown
from baleen.synthesis.search.reading import Page, Reader, hits_of, pages_in
from baleen.synthesis.search.wording import tree

_FOUND_AMONG = 20  # hits of a search within which a clue must lead to its entity
_MODEL_TOKENS = 2048
_EVIDENCE_CHARACTERS = 1500


def recount(corpus: Corpus, form: Unknown) -> list[str]:
    """All entities that fit, by one SQL query over the tables: nothing is shared with the graph in memory."""
    views: list[str] = []
    values: list[Any] = []
    last = _add_view(form, views, values)
    return [row[0] for row in corpus.rows(f"WITH {', '.join(views)} SELECT id FROM {last}", values)]


def _add_view(unknown: Unknown, views: list[str], values: list[Any]) -> str:
    """Add the entities that fit `unknown` as a named query after those it needs. Returns its name.

    Named, not nested: SQLite's parser refuses deep nesting.
    """
    others = [_add_view(link.to, views, values) for link in unknown.links]
    clauses = ["id IN (SELECT subject FROM labels WHERE label = ? AND value = ?)" for _ in unknown.labels]
    values += [text for pair in unknown.labels for text in pair]
    for attribute, low, high in unknown.numbers:
        clauses.append("id IN (SELECT subject FROM numbers WHERE attribute = ? AND value BETWEEN ? AND ?)")
        values += [attribute, low, high]
    for phrase in unknown.says:
        # the index finds the stems of all the words, the function decides on the words themselves
        clauses.append(
            "id IN (SELECT id FROM documents WHERE number IN (SELECT rowid FROM pages WHERE pages MATCH ?) "
            "AND says(text, ?))"
        )
        values += [f"text : ({' AND '.join(query_terms(phrase))})", phrase]
    for link, other in zip(unknown.links, others, strict=True):
        ends = ("subject", "object") if link.forward else ("object", "subject")
        clauses.append(f"id IN (SELECT {ends[0]} FROM edges WHERE relation = ? AND {ends[1]} IN {other})")
        values.append(link.relation)
    name = f"u{len(views)}"
    views.append(f"{name} AS (SELECT id FROM entities WHERE {' AND '.join(clauses) or '1'})")
    return name


class DocumentCheck:
    """Checks a question's conditions in the documents, seen through the tools that solvers have."""

    def __init__(self, corpus: Corpus) -> None:
        self._toolbox = Toolbox(search_tools(corpus))
        self._reader = Reader(FactLines.from_data(corpus.about))

    def objection(self, form: Unknown) -> str:
        """What the documents do not bear out of the entities the question was made from; "" if nothing."""
        page = self._page(form.witness)
        lacking = self._reader.missing(form, page)
        if lacking:
            return f"{page.title} does not show {', '.join(lacking)}"
        if form.says:
            hits = hits_of(self._call("search", query=" ".join(form.says), k=_FOUND_AMONG))
            if form.witness not in hits:
                return f"a search for “{' '.join(form.says)}” does not find {page.title}"
        for link in form.links:
            other = self._page(link.to.witness)
            if not self._reader.shows(link, page, other):
                return f"neither {page.title} nor {other.title} shows {link.relation}"
            objection = self.objection(link.to)
            if objection:
                return objection
        return ""

    def _page(self, entity: str) -> Page:
        results = [self._call("open", id=entity)]
        results += [self._call("open", id=entity, page=i) for i in range(2, pages_in(results[0]) + 1)]
        return self._reader.page(results)

    def _call(self, name: str, **arguments: Any) -> str:
        message = call_message(name, {})
        message["tool_calls"][0]["function"]["arguments"] = json.dumps(arguments)
        return str(self._toolbox.answer(message)[0]["content"])


def model_agrees(
    model: ChatModel, corpus: Corpus, question: str, form: Unknown, answer: str, entities: Sequence[str]
) -> tuple[bool, Reply]:
    """Whether a model, shown the question, its conditions and the documents of `entities`, calls the answer right.

    Raises ModelFailure.
    """
    documents = [document for entity in entities if (document := corpus.document(entity)) is not None]
    shown = "\n\n".join(f"# {d.title} [{d.id}]\n{full_text(d)[:_EVIDENCE_CHARACTERS]}" for d in documents)
    prompt = (
        f"Check an answer to a question against documents.\n\nQuestion: {question}\n\nConditions, the answer's own "
        f"first:\n{tree(form, corpus.about['noun'])}\n\nAnswer: {answer}\n\nDocuments:\n{shown}\n\nGo through every "
        "condition. Reply with your check, then VERDICT: RIGHT if the answer meets all of them, else VERDICT: WRONG, "
        "on the last line."
    )
    reply = model.complete([{"role": "user", "content": prompt}], max_tokens=_MODEL_TOKENS)
    verdicts = re.findall(r"VERDICT\W+(RIGHT|WRONG)", str(reply.message.get("content") or "").upper())
    return bool(verdicts) and verdicts[-1] == "RIGHT", reply
