"""Those who try a question before it is kept: one-shot searchers by script, and models with different prompts.

One right answer among them and the question is too easy. They are unlike each other on purpose: what one kind cannot
do another may.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from baleen.agent.model import ChatModel, Reply
from baleen.chat import Message
from baleen.environments.search.corpus import Corpus, tokens
from baleen.environments.search.world import full_text

# The commonest English words and those of the question templates: no clue is among them.
STOP_WORDS = frozenset(
    tokens(
        "a an and are as at be been but by can for from had has have he her his i in into is it its "
        "itself let me my name not of on one or she so some such than that the their them there these "
        "they this those to too under until was we were what when where which who whom whose why will "
        "with within without you your well also among another any call called described description entry "
        "find give identify includes include known looking mentioned mentions named next part parts says "
        "text word words wanted want question about exactly corpus"
    )
)
_MODEL_TOKENS = 2048
_CONTEXT_DOCUMENTS = 8
_CONTEXT_CHARACTERS = 800


@dataclass(frozen=True)
class Attempt:
    """What an answerer says: one name, or none, and what it cost."""

    answerer: str
    answer: str
    replies: tuple[Reply, ...] = field(default=(), repr=False)


Answerer = Callable[[str], Attempt]
"""Question in, attempt out. Raises ModelFailure where a model is asked."""


def whole_question(corpus: Corpus) -> Answerer:
    """The best document for all the words of the question."""
    return lambda question: Attempt("whole question", _first(corpus, question))


def content_words(corpus: Corpus) -> Answerer:
    """The best document for its words without those that every question has."""
    return lambda question: Attempt("content words", _first(corpus, content(question)))


def vote(corpus: Corpus, k: int = 10) -> Answerer:
    """The title that comes up most and highest when each sentence and the whole are searched for."""

    def answer(question: str) -> Attempt:
        votes: dict[str, float] = {}
        for part in [question, *re.split(r"(?<=[.?;,])\s", question)]:
            for rank, hit in enumerate(corpus.search(content(part), k), 1):
                votes[hit.title] = votes.get(hit.title, 0.0) + 1 / rank
        best = min(votes.items(), key=lambda item: (-item[1], item[0]), default=("", 0.0))
        return Attempt("vote of parts", best[0])

    return answer


def sentences(corpus: Corpus, name: str, which: slice) -> Answerer:
    """The best document for some of the question's sentences: clues stand in one, the answer's kind in another."""

    def answer(question: str) -> Attempt:
        parts = re.split(r"(?<=[.?])\s", question.strip())[which]
        return Attempt(name, _first(corpus, content(" ".join(parts))))

    return answer


def closed_book(model: ChatModel) -> Answerer:
    """A model from memory."""
    prompt = "Answer from what you know. Reply with the name alone; guess if you must.\n\nQuestion: {}"
    return lambda question: _ask(model, f"closed book, {model.name}", prompt.format(question))


def with_context(model: ChatModel, corpus: Corpus) -> Answerer:
    """A model that is shown the best documents of one search."""

    def answer(question: str) -> Attempt:
        hits = corpus.search(content(question), _CONTEXT_DOCUMENTS)
        documents = [document for hit in hits if (document := corpus.document(hit.id)) is not None]
        shown = "\n\n".join(f"# {d.title}\n{full_text(d)[:_CONTEXT_CHARACTERS]}" for d in documents)
        prompt = (
            f"{shown}\n\nThese documents may help. Think briefly, then give the name alone on the last line.\n\n"
            f"Question: {question}"
        )
        return _ask(model, f"one search, {model.name}", prompt)

    return answer


def scripted(corpus: Corpus) -> list[Answerer]:
    """All that need no model."""
    return [
        whole_question(corpus),
        content_words(corpus),
        vote(corpus),
        sentences(corpus, "first sentence", slice(0, 1)),
        sentences(corpus, "first two sentences", slice(0, 2)),
        sentences(corpus, "last sentence", slice(-1, None)),
        sentences(corpus, "last two sentences", slice(-2, None)),
    ]


def of_models(models: Sequence[ChatModel], corpus: Corpus) -> list[Answerer]:
    """Both prompts for every model."""
    return [answerer for m in models for answerer in (closed_book(m), with_context(m, corpus))]


def content(question: str) -> str:
    """The question's words that can be clues."""
    return " ".join(w for w in re.findall(r"[\w'+-]+", question) if w.lower() not in STOP_WORDS and tokens(w))


def _first(corpus: Corpus, query: str) -> str:
    hits = corpus.search(query, 1)
    return hits[0].title if hits else ""


def _ask(model: ChatModel, who: str, prompt: str) -> Attempt:
    message: Message = {"role": "user", "content": prompt}
    reply = model.complete([message], max_tokens=_MODEL_TOKENS)
    lines = [line.strip() for line in str(reply.message.get("content") or "").splitlines() if line.strip()]
    return Attempt(
        who, re.sub(r"^\W*answer\W*:", "", lines[-1], flags=re.IGNORECASE).strip() if lines else "", (reply,)
    )
