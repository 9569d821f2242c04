"""From an entity to a task or a reason: draw, confirm, word, confirm, try, keep."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from baleen.agent.model import ChatModel, ModelFailure, Reply
from baleen.environments import Task
from baleen.environments.search.corpus import Corpus, is_run, tokens
from baleen.environments.search.task import FactLines, SearchTask
from baleen.environments.search.world import SYSTEM_MESSAGE, normalized
from baleen.environments.task import split_of
from baleen.synthesis.journal import Verdict
from baleen.synthesis.pipeline import Candidate
from baleen.synthesis.search import answerers
from baleen.synthesis.search.draw import Drawer, long_tail
from baleen.synthesis.search.form import Unknown
from baleen.synthesis.search.graph import Graph
from baleen.synthesis.search.verify import DocumentCheck, model_agrees, recount
from baleen.synthesis.search.wording import Wording, hidden_names, tree

_SHORTEST_GIVEAWAY = 4  # letters of a word of the answer's name that must not stand in the question
_MODEL_TOKENS = 1024


@dataclass(frozen=True)
class Seedling:
    """What a candidate is made from."""

    answer: str
    depth: int
    breadth: int
    seed: str


@dataclass(frozen=True)
class Models:
    """Who helps, if anybody: an author rewords questions, answerers try them, verifiers check them `passes` times."""

    author: ChatModel | None = None
    answerers: Sequence[ChatModel] = ()
    verifiers: Sequence[ChatModel] = ()
    passes: int = 2


class Rejection(Exception):
    """Why a candidate is not kept: a reason that many share, and what exactly."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason, self.detail = reason, detail


@dataclass
class _Work:
    """A candidate under way: what models cost so far."""

    candidate: Candidate[Seedling]
    replies: list[Reply] = field(default_factory=list)

    @property
    def usage(self) -> dict[str, float]:
        return {
            "prompt_tokens": sum(reply.prompt_tokens for reply in self.replies),
            "completion_tokens": sum(reply.completion_tokens for reply in self.replies),
            "dollars": sum(reply.dollars for reply in self.replies),
        }


class Judge:
    """Judges candidates over one corpus; safe for many threads."""

    def __init__(self, corpus: Corpus, models: Models) -> None:
        self._corpus = corpus
        self._graph = Graph(corpus)
        self._drawer = Drawer(self._graph, FactLines.from_data(corpus.about))
        self._documents = DocumentCheck(corpus)
        self._models = models
        self._answerers = [*answerers.scripted(corpus), *answerers.of_models(models.answerers, corpus)]

    def candidates(
        self, depths: Sequence[int], breadths: Sequence[int], seed: int
    ) -> tuple[list[str], Iterator[Candidate[Seedling]]]:
        """(the entities asked for, candidates in a fixed order: every entity once before any comes again)."""
        entities = long_tail(self._graph)
        random.Random(seed).shuffle(entities)

        def all_of_them() -> Iterator[Candidate[Seedling]]:
            for turn in range(len(depths)):
                for i, entity in enumerate(entities):
                    number = turn * len(entities) + i
                    depth = depths[(i + turn) % len(depths)]
                    breadth = breadths[(i // len(depths) + turn) % len(breadths)]
                    name = f"{number:07}-depth{depth}-breadth{breadth}"
                    seedling = Seedling(entity, depth, breadth, f"{seed}:{name}")
                    yield Candidate(name, f"depth {depth}", seedling)

        return entities, all_of_them()

    def __call__(self, candidate: Candidate[Seedling]) -> Verdict:
        """Raises what a spent budget raises; everything else is a verdict."""
        work = _Work(candidate)
        try:
            form, question, attempts = self._make(work)
        except Rejection as why:
            return Verdict(
                candidate.name, candidate.group, reason=why.reason, detail=why.detail, usage=work.usage
            )
        except ModelFailure as error:
            return Verdict(
                candidate.name, candidate.group, reason="a model failed", detail=str(error), usage=work.usage
            )
        task = self._task(candidate.work, form, question, attempts)
        facts = {"conditions": form.size, "words": len(question.split())}
        return Verdict(candidate.name, candidate.group, (task,), usage=work.usage, facts=facts)

    def _make(self, work: _Work) -> tuple[Unknown, str, list[answerers.Attempt]]:
        seedling = work.candidate.work
        rng = random.Random(seedling.seed)
        form = self._drawer.draw(seedling.answer, seedling.depth, seedling.breadth, rng)
        if form is None:
            raise Rejection("no walk of this depth", f"from {self._graph.names[seedling.answer][0]}")
        self._confirm(form)
        question = self._worded(form, rng, work)
        attempts = self._tried(question, form, work)
        self._checked_by_models(question, form, attempts, work)
        return form, question, attempts

    def _confirm(self, form: Unknown) -> None:
        """The truth is the one entity that fits, by three ways that share no code but the form."""
        fitting = self._graph.fits(form)
        if fitting != {form.witness}:
            raise Rejection("several entities fit", self._some_names(fitting - {form.witness}))
        counted = recount(self._corpus, form)
        if counted != [form.witness]:
            raise Rejection("the recount differs", self._some_names(counted))
        generous = self._graph.fits(form, generous=True) - {form.witness}
        if generous:
            raise Rejection("others fit on a generous reading", self._some_names(generous))
        objection = self._documents.objection(form)
        if objection:
            raise Rejection("the documents do not show it", objection)

    def _worded(self, form: Unknown, rng: random.Random, work: _Work) -> str:
        question = Wording(self._corpus.about["noun"], rng).question(form)
        leak = self._leak(question, form)
        if leak:
            raise Rejection("the question gives a name away", leak)
        if self._models.author is None:
            return question
        prompt = (
            "Reword this question so that it reads as a person would ask it: one paragraph, every condition kept, "
            "nothing added, nothing named that is not named here, no hint at who or what is meant. Reply with the "
            f"question alone.\n\nConditions:\n{tree(form, self._corpus.about['noun'])}\n\nQuestion: {question}"
        )
        reply = self._models.author.complete([{"role": "user", "content": prompt}], max_tokens=_MODEL_TOKENS)
        work.replies.append(reply)
        reworded = str(reply.message.get("content") or "").strip()
        if reply.finish_reason != "stop" or not 20 <= len(reworded) <= 4 * len(question) + 400:
            raise Rejection("the author's wording is unusable", f"{reply.finish_reason}: {reworded[:200]}")
        leak = self._leak(reworded, form)
        if leak:
            raise Rejection("the author's wording gives a name away", leak)
        return reworded

    def _leak(self, question: str, form: Unknown) -> str:
        """A hidden name in the question, or a telling word of the answer's; "" if there is none."""
        words = tokens(question)
        for name in hidden_names(form, self._graph.names):
            if is_run(tokens(name), words):
                return name
        kinds = {word for _, value in form.labels for word in tokens(value)}
        for name in self._graph.names[form.witness]:
            for word in tokens(name):
                if len(word) >= _SHORTEST_GIVEAWAY and word not in kinds and word in words:
                    return f"{word}, of {name}"
        return ""

    def _tried(self, question: str, form: Unknown, work: _Work) -> list[answerers.Attempt]:
        """All attempts, every one of them wrong."""
        names = {normalized(name) for name in self._graph.names[form.witness]}
        generous = self._graph.fits(form, generous=True)
        attempts = []
        for answerer in self._answerers:
            attempt = answerer(question)
            work.replies.extend(attempt.replies)
            attempts.append(attempt)
            # a longer answer with the name in it counts as right: nobody should have to read it to know
            if any(is_run(name.split(), normalized(attempt.answer).split()) for name in names):
                raise Rejection("an answerer is right", f"{attempt.answerer}: {attempt.answer}")
            if any(entity in generous for entity in self._graph.called(attempt.answer)):
                raise Rejection("an answerer's answer fits too", f"{attempt.answerer}: {attempt.answer}")
        return attempts

    def _checked_by_models(
        self, question: str, form: Unknown, attempts: Sequence[answerers.Attempt], work: _Work
    ) -> None:
        """Verifiers agree with the truth in every pass, and with no answer that a model gave instead."""
        path = list(dict.fromkeys(unknown.witness for unknown in form.walk()))
        truth = self._graph.names[form.witness][0]
        wrong = dict.fromkeys(attempt.answer for attempt in attempts if attempt.replies and attempt.answer)
        for verifier in self._models.verifiers:
            for number in range(self._models.passes):
                agrees, reply = model_agrees(verifier, self._corpus, question, form, truth, path)
                work.replies.append(reply)
                if not agrees:
                    raise Rejection("a verifier doubts the truth", f"{verifier.name}, pass {number + 1}")
            for answer in wrong:
                entities = [*self._graph.called(answer), *path]
                agrees, reply = model_agrees(verifier, self._corpus, question, form, answer, entities)
                work.replies.append(reply)
                if agrees:
                    raise Rejection("a verifier takes another answer", f"{verifier.name}: {answer}")

    def _task(
        self, seedling: Seedling, form: Unknown, question: str, attempts: Sequence[answerers.Attempt]
    ) -> Task:
        about = self._corpus.about
        answer, *aliases = self._graph.names[form.witness]
        data = SearchTask(
            form=form.to_json(),
            witnesses=tuple(unknown.witness for unknown in form.walk()),
            aliases=tuple(aliases),
            shown=FactLines.from_data(about),
            tried={attempt.answerer: attempt.answer for attempt in attempts},
        )
        return Task(
            id=f"search-{about['corpus']}-{seedling.seed.partition(':')[2]}",
            domain="search",
            family=f"search-{about['corpus']}",
            difficulty=form.depth,
            split=split_of("search", f"{about['corpus']}:{seedling.answer}"),
            messages=(SYSTEM_MESSAGE, {"role": "user", "content": question}),
            answer=answer,
            data=data.to_data(),
        )

    def _some_names(self, entities: set[str] | Sequence[str]) -> str:
        some = sorted(entities)[:5]
        more = f" and {len(entities) - 5} more" if len(entities) > 5 else ""
        return ", ".join(self._graph.names[entity][0] for entity in some) + more
