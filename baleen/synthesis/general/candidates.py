"""One environment from its author to its kept tasks: checked, repaired, made harder, filtered."""

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from baleen.agent import ChatModel, Usage
from baleen.synthesis.general.checking import check
from baleen.synthesis.general.proposal import Author, AuthorFailure, Checked, Proposal, Rejection
from baleen.synthesis.general.solvers import attempt, solved_cheaply
from baleen.synthesis.journal import Verdict
from baleen.synthesis.pipeline import Candidate


@dataclass(frozen=True)
class Plan:
    """levels: tasks per environment, each harder than the one before. repairs: tries after a rejection.

    solver, attempts: a model that tries each task so often; kept is what it solves sometimes, not always.
    """

    levels: int = 5
    repairs: int = 4
    solver: ChatModel | None = None
    attempts: int = 0


def judge(candidate: Candidate[Callable[[], Author]], plan: Plan) -> Verdict:
    """What becomes of an environment. Raises BudgetSpent, SandboxUnavailable: then it is not recorded at all."""
    work = _Work(candidate.work(), plan)
    try:
        work.run()
        last = ""
    except AuthorFailure as failure:
        last = str(failure)
        work.rejected[last] += 1
    except Rejection as rejection:
        last = rejection.reason
    usage = work.author.usage + work.usage
    facts = {
        "levels": [checked.task.difficulty for checked in work.kept],
        "repairs": work.repairs,
        "rejected": dict(work.rejected),
        "mutants": sum(checked.mutants for checked in work.kept),
        "attempts": work.attempts,
    }
    return Verdict(
        candidate=candidate.name,
        group=candidate.group,
        tasks=tuple(checked.task for checked in work.kept),
        reason="" if work.kept else last or work.last_reason,
        detail="\n".join(work.told)[:4000],
        usage={
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "dollars": usage.dollars,
        },
        facts=facts,
    )


class _Work:
    def __init__(self, author: Author, plan: Plan) -> None:
        self.author = author
        self.kept: list[Checked] = []
        self.rejected: Counter[str] = Counter()
        self.told: list[str] = []
        self.last_reason = "no task"
        self.repairs = 0
        self.usage = Usage()
        self.attempts: list[dict[str, int]] = []
        self._plan = plan

    def run(self) -> None:
        proposal: Proposal | None = self.author.begin()
        for left in reversed(range(self._plan.levels)):
            if proposal is None:
                return
            checked, is_trivial = self._repaired(proposal)
            if not is_trivial and self._deserves(checked):
                self.kept.append(checked)
            # After the last level nothing is asked for: it would be paid for and thrown away.
            proposal = self.author.harder(checked.proposal) if left else None

    def _repaired(self, proposal: Proposal) -> tuple[Checked, bool]:
        """A task that holds, and whether it stayed trivial: the way to harder ones leads through it all the same.

        Raises the last Rejection when the repairs are used up.
        """
        for left in reversed(range(self._plan.repairs + 1)):
            try:
                checked = check(proposal)
                solver = solved_cheaply(checked.task, random.Random(checked.task.id))
                if not solver:
                    return checked, False
                rejection = Rejection(
                    "trivial", f"a simple solver ({solver}) solves it; it must need more steps"
                )
                self._note(rejection)
                if not left:
                    return checked, True
            except Rejection as fault:
                rejection = fault
                self._note(rejection)
                if not left:
                    raise
            self.repairs += 1
            proposal = self.author.repair(proposal, rejection)
        raise AssertionError("the last try returns or raises")

    def _deserves(self, checked: Checked) -> bool:
        if self._plan.solver is None or not self._plan.attempts:
            return True
        tried = attempt(checked.task, self._plan.solver, self._plan.attempts)
        self.usage += tried.usage
        level = checked.task.difficulty
        self.attempts.append({"level": level, "made": tried.made, "solved": tried.solved})
        if not tried.made:
            self._note(Rejection("no attempt could be made", "the solver gave no answers"))
        elif not tried.solved:
            self._note(Rejection("solved by no attempt", f"level {level}, {tried.made} attempts"))
        elif tried.solved == tried.made > 1:
            self._note(Rejection("solved by every attempt", f"level {level}, {tried.made} attempts"))
        else:
            return True
        return False

    def _note(self, rejection: Rejection) -> None:
        self.rejected[rejection.reason] += 1
        self.told.append(str(rejection))
        self.last_reason = rejection.reason
