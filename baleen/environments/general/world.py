"""The world of general tasks: a database, tools on it, and a check of the database and answer at the end."""

from pathlib import Path

from baleen.chat import Message
from baleen.environments.general.database import build
from baleen.environments.general.presentation import offered_schemas
from baleen.environments.general.task import GeneralTask
from baleen.environments.general.tools import open_tools, toolbox_tools
from baleen.environments.general.verification import Outcome, VerifierError, accepts, same_changes
from baleen.environments.task import Task, TaskError, ToolFailure, final_content
from baleen.environments.toolbox import Toolbox
from baleen.environments.toy.world import answers


class GeneralWorld:
    """An episode of a general task."""

    def __init__(self, task: Task, assets: Path | None = None) -> None:
        """Open the task's environment.

        Args:
            task: a task whose data is a `GeneralTask`.
            assets: not used; a general task holds its whole environment.

        Raises:
            TaskError: the data is damaged.
        """
        self.task = task
        self._data = GeneralTask.of(task)
        try:
            self._initial = build(self._data.environment.database)
            self._source = open_tools(self._data.environment)
            offered = offered_schemas(task)
            missing = {schema["name"] for schema in offered} - {s["name"] for s in self._source.schemas}
        except (KeyError, TypeError, ValueError) as error:
            raise TaskError(f"task {task.id}, data: environment cannot be opened: {error!r}") from None
        if missing:
            raise TaskError(
                f"task {task.id}, data: environment.tools lacks {', '.join(sorted(missing))}, "
                "which the task offers"
            )
        self._toolbox = Toolbox(toolbox_tools(self._source, offered))

    def reset(self) -> list[Message]:
        self._source.restore(self._initial)
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        return self._toolbox.answer(assistant)

    def score(self, final: Message) -> float:
        """1.0 if both the database and the answer are right, else 0.0. Raises ToolFailure."""
        content = final_content(final)
        if content is None:
            return 0.0
        outcome = Outcome(self._source.database(), content.strip())
        data = self._data
        if not same_changes(self._initial, outcome, data.changes, data.environment.ignored):
            return 0.0
        if not data.verification:
            return float(answers(final, self.task.answer))
        try:
            return float(accepts(data.verification, self._initial, [outcome])[0])
        except VerifierError as error:
            raise ToolFailure(str(error)) from None

    def snapshot(self) -> bytes:
        return self._source.database()

    def restore(self, state: bytes) -> None:
        self._source.restore(state)

    def close(self) -> None:
        self._source.close()
