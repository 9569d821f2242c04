"""The gate of interpreter tasks: the answer confirmed by execution, no luck, no answer without computing."""

import hashlib
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from baleen.agent.model import ChatModel, ModelFailure
from baleen.chat import Message
from baleen.environments import Task
from baleen.environments.interpreter import SYSTEM_MESSAGE, InterpreterTask, InterpreterWorld, Kernel, same
from baleen.environments.task import split_of
from baleen.synthesis.interpreter.candidates import Draft
from baleen.synthesis.interpreter.guesses import lucky_guess
from baleen.synthesis.interpreter.solver import Usage, attempt, direct
from baleen.synthesis.journal import Verdict
from baleen.synthesis.pipeline import Candidate

_PROGRAM_SECONDS = 60.0
_SHOWN = 300


class Kernels:
    """Kernels that judges in threads take turns with. A context manager."""

    def __init__(self, count: int) -> None:
        """Raises SandboxUnavailable."""
        self._all = [Kernel() for _ in range(count)]
        self._free: queue.SimpleQueue[Kernel] = queue.SimpleQueue()
        for kernel in self._all:
            self._free.put(kernel)

    @contextmanager
    def one(self) -> Iterator[Kernel]:
        kernel = self._free.get()
        try:
            yield kernel
        finally:
            self._free.put(kernel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for kernel in self._all:
            kernel.close()


@dataclass(frozen=True)
class Solver:
    """The model that problems are tried on. attempts: with the tool, and as many without it."""

    model: ChatModel
    attempts: int = 4
    max_turns: int = 8
    temperature: float = 1.0


@dataclass(frozen=True)
class Judge:
    """Turns drafts into verdicts; one for all threads. Raises ToolFailure, and BudgetSpent of the solver."""

    kernels: Kernels
    solver: Solver | None = None

    def __call__(self, candidate: Candidate[Draft]) -> Verdict:
        draft, problem = candidate.work, candidate.work.problem

        def rejected(reason: str, detail: str = "") -> Verdict:
            return Verdict(candidate.name, candidate.group, reason=reason, detail=detail[:_SHOWN])

        if draft.repeated:
            return rejected("the same question again")
        if problem.program and (fault := self._fault(draft)):
            return rejected(*fault)
        guess = lucky_guess(problem.question, problem.answer, problem.tolerance)
        if guess is not None:
            return rejected("guessed without computing", f"the answer {problem.answer} is the guess {guess}")
        task = task_of(draft)
        facts = {"confirmed": bool(problem.program)}
        if self.solver is None:
            return Verdict(candidate.name, candidate.group, (task,), facts=facts)
        return _tried(candidate, task, self.solver, facts)

    def _fault(self, draft: Draft) -> tuple[str, str] | None:
        """Why the program does not confirm the answer."""
        problem = draft.problem
        with self.kernels.one() as kernel:
            # Nothing of an earlier program may help this one.
            kernel.run("%reset -sf", _PROGRAM_SECONDS)
            cell = kernel.run(problem.program, _PROGRAM_SECONDS)
        printed = cell.text.strip()
        if cell.status != "ok":
            return "the program failed", f"{cell.status}: {printed[-_SHOWN:]}"
        if not same(printed, problem.answer, problem.tolerance):
            return "answers disagree", f"{problem.answer} against {printed} by the program"
        return None


def task_of(draft: Draft) -> Task:
    """The task of a draft; its id and its split follow from the question alone."""
    problem = draft.problem
    digest = hashlib.blake2b(problem.question.encode(), digest_size=6).hexdigest()
    user: Message = {"role": "user", "content": problem.question}
    return Task(
        id=f"interpreter-{draft.family}-{draft.difficulty}-{digest}",
        domain="interpreter",
        family=draft.family,
        difficulty=draft.difficulty,
        split=split_of(draft.family, problem.question),
        messages=(SYSTEM_MESSAGE, user),
        answer=problem.answer,
        data=InterpreterTask(problem.program, problem.tolerance).to_data(),
    )


def _tried(candidate: Candidate[Draft], task: Task, solver: Solver, facts: dict[str, Any]) -> Verdict:
    usage = Usage()
    solved = 0
    reason, detail = "", ""
    world = InterpreterWorld(task)
    try:
        for seed in range(solver.attempts):
            if direct(solver.model, task, seed, solver.temperature, usage) >= 1.0:
                reason = "answered without the tool"
                break
        else:
            for seed in range(solver.attempts):
                score = attempt(solver.model, world, solver.max_turns, seed, solver.temperature, usage)
                solved += score >= 1.0
            reason = "" if solved else "never solved"
            detail = "" if solved else f"0 of {solver.attempts} attempts"
    except ModelFailure as failure:
        reason, detail = "the model gave no answer", str(failure)[:_SHOWN]
    finally:
        world.close()
    facts = facts | {"solved": solved, "attempts": solver.attempts}
    kept = () if reason else (task,)
    return Verdict(candidate.name, candidate.group, kept, reason, detail, usage=usage.totals, facts=facts)
