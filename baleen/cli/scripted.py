"""The scripted policy of `baleen agent run`: for each task a chat model that needs none."""

from pathlib import Path

from baleen.agent import ChatModel, ScriptedModel
from baleen.agent.runner import Attempt
from baleen.config import UserError
from baleen.environments import TaskError, scripted_solution


def scripted_model(attempt: Attempt, assets: Path | None, seed: int) -> ChatModel:
    """A model that solves the attempt's task in one conversation. seed: of what it leaves to chance.

    Raises UserError where there is none.
    """
    task = attempt.task
    if task.domain == "search":
        from baleen.synthesis.search import Walker

        return Walker(task, seed, in_order=attempt.number == 0)
    try:
        return ScriptedModel(scripted_solution(task, assets))
    except TaskError as error:
        raise UserError(f"--policy scripted: {error}") from error
