"""The world of general tasks: a database, the tools that are offered on it, and a check of what was left behind."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from baleen.chat import Message
from baleen.environments.general.database import build
from baleen.environments.general.served import ServedTools
from baleen.environments.general.showing import offered_schemas
from baleen.environments.general.tools import SqlTool, SqlTools, ToolSource, toolbox_tools
from baleen.environments.general.verification import Outcome, VerifierError, accepts, same_changes
from baleen.environments.task import Task, TaskError, ToolFailure, final_content
from baleen.environments.toolbox import Toolbox
from baleen.environments.toy.world import answers


def open_tools(environment: Mapping[str, Any]) -> ToolSource:
    """The tools of an environment on a fresh database.

    environment: `database` (the script), `tools` (rows of SqlTool, or, with `code`, schemas), `code` (a Python
    module of the tools, or ""). Raises ValueError (DatabaseError is one), TypeError, KeyError for what is none.
    """
    data = build(environment["database"])
    if environment["code"]:
        return ServedTools(environment["tools"], environment["code"], data)
    return SqlTools([SqlTool.from_row(row) for row in environment["tools"]], data)


class GeneralWorld:
    """An episode of a general task.

    `task.data`: `environment` (see `open_tools`, and `ignored`, the columns that are free), `changes` (what the
    database must differ by), `verification` (a function's text, or "": then the answer must be `task.answer`),
    `offered` (schemas of the tools, where no message has them).
    """

    def __init__(self, task: Task, assets: Path | None = None) -> None:
        """Raises TaskError. assets: not needed; a general task holds its whole world."""
        self.task = task
        try:
            self._environment: Mapping[str, Any] = task.data["environment"]
            self._initial = build(self._environment["database"])
            self._source = open_tools(self._environment)
            offered = offered_schemas(task)
        except (KeyError, TypeError, ValueError) as error:
            raise TaskError(f"{task.id} is no general task: {type(error).__name__}: {error}") from None
        missing = {schema["name"] for schema in offered} - {schema["name"] for schema in self._source.schemas}
        if missing:
            raise TaskError(
                f"{task.id} offers tools that its environment lacks: {', '.join(sorted(missing))}"
            )
        self._toolbox = Toolbox(toolbox_tools(self._source, offered))

    def reset(self) -> list[Message]:
        self._source.restore(self._initial)
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        return self._toolbox.answer(assistant)

    def score(self, final: Message) -> float:
        """1.0 when database and answer are as they must be, else 0.0. Raises ToolFailure."""
        content = final_content(final)
        if content is None:
            return 0.0
        outcome = Outcome(self._source.database(), content.strip())
        data = self.task.data
        if not same_changes(self._initial, outcome, data["changes"], self._environment["ignored"]):
            return 0.0
        if not data["verification"]:
            return float(answers(final, self.task.answer))
        try:
            return float(accepts(data["verification"], self._initial, [outcome])[0])
        except VerifierError as error:
            raise ToolFailure(str(error)) from None

    def snapshot(self) -> bytes:
        return self._source.database()

    def restore(self, state: bytes) -> None:
        self._source.restore(state)

    def close(self) -> None:
        self._source.close()
