"""The scripted policy of `baleen agent run`: for each task a chat model that needs none."""

import importlib
from pathlib import Path
from typing import Any

from baleen.agent import ChatModel, ScriptedModel
from baleen.config import UserError
from baleen.environments import Task, TaskError, scripted_solution

# domain -> (module, name) of its chat model, made of one task; tasks of other domains have demonstrations
_SOLVERS: dict[str, tuple[str, str]] = {
    "search": ("baleen.synthesis.search.walker", "Walker"),
}


def scripted_model(task: Task, assets: Path | None, seed: int) -> ChatModel:
    """A model that solves `task` in one conversation. seed: of what it leaves to chance.

    Raises UserError where there is none.
    """
    if task.domain in _SOLVERS:
        module, name = _SOLVERS[task.domain]
        solver: Any = getattr(importlib.import_module(module), name)
        return solver(task, seed)
    try:
        return ScriptedModel(scripted_solution(task, assets))
    except TaskError as error:
        raise UserError(f"--policy scripted: {error}") from error
