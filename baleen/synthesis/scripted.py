"""A chat model that needs none: it solves a task by the task's own script."""

from pathlib import Path

from baleen.agent import ChatModel, ScriptedModel
from baleen.agent.runner import Attempt
from baleen.config import UserError
from baleen.environments import TaskError, scripted_solution


def scripted_model(attempt: Attempt, assets: Path | None, seed: int) -> ChatModel:
    """A model that solves the attempt's task in one conversation.

    Args:
        attempt: the task, and which attempt at it this is.
        assets: the folder of the tasks' assets, if there is one.
        seed: of what the script leaves to chance.

    Raises:
        UserError: the task has no script.
    """
    task = attempt.task
    if task.domain == "search":
        from baleen.synthesis.search import Walker

        return Walker(task, seed, in_order=attempt.number == 0)
    try:
        return ScriptedModel(scripted_solution(task, assets))
    except TaskError as error:
        raise UserError(f"--policy scripted: {error}") from error
