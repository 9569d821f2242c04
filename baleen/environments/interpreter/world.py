"""The world of interpreter tasks: a question, a stateful `python` tool, and a check of the final answer."""

import json
from collections.abc import Callable
from pathlib import Path

from baleen.chat import Message
from baleen.environments.interpreter.answers import final_answer, same
from baleen.environments.interpreter.kernel import Kernel
from baleen.environments.interpreter.task import InterpreterTask
from baleen.environments.task import Task, answer_message, call_message, final_content, result_message
from baleen.environments.toolbox import Tool, Toolbox, ToolError, parameters

CELL_SECONDS = 20.0
_CODE_CHARACTERS = 100_000

_INSTRUCTIONS = (
    "Solve the problem, using the python tool for computation where it helps. End your last message with a line that "
    "has only the final answer, in the form #### ANSWER."
)


def _tool(run: Callable[[str], str]) -> Tool:
    description = (
        "Run Python code in a session that keeps its variables. Returns what it prints, the value of the last "
        f"expression, and errors. A call may take at most {CELL_SECONDS:g} seconds; there is no network."
    )
    return Tool("python", description, parameters({"code": {"type": "string"}}), run)


SYSTEM_MESSAGE: Message = {
    "role": "system",
    "content": _INSTRUCTIONS,
    "tools": [_tool(lambda code: "").schema],
}


class InterpreterWorld:
    """An episode of an interpreter task. Its kernel starts at the first call and ends with `close`."""

    def __init__(self, task: Task, assets: Path | None = None, cell_seconds: float = CELL_SECONDS) -> None:
        """Prepare the kernel.

        Args:
            task: a task whose data is an `InterpreterTask`.
            assets: not used.
            cell_seconds: time limit of one call.

        Raises:
            TaskError: the data is damaged.
            SandboxUnavailable: this machine cannot enforce the sandbox.
        """
        self.task = task
        self._data = InterpreterTask.of(task)
        self._seconds = cell_seconds
        self._kernel = Kernel()
        self._cells: list[str] = []  # that led to the current state of the kernel
        self._toolbox = Toolbox([_tool(self._python)])

    def reset(self) -> list[Message]:
        self.restore(b"[]")
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        return self._toolbox.answer(assistant)

    def score(self, final: Message) -> float:
        return _score(self.task, self._data, final)

    def snapshot(self) -> bytes:
        """The cells that led to the current state. A kernel's memory cannot be copied, so `restore` runs them again.

        This gives the same state for cells that depend only on earlier cells. Clocks and the system's randomness
        differ, and a cell that was interrupted is interrupted at another point.
        """
        return json.dumps(self._cells).encode()

    def restore(self, state: bytes) -> None:
        self._kernel.close()
        self._cells = []
        for code in json.loads(state):
            self._python(code)

    def close(self) -> None:
        self._kernel.close()

    def _python(self, code: str) -> str:
        if len(code) > _CODE_CHARACTERS:
            raise ToolError(f"the code has {len(code)} characters; the limit is {_CODE_CHARACTERS}")
        cell = self._kernel.run(code, self._seconds)
        if cell.status == "lost":
            self._cells = []
        else:
            self._cells.append(code)
        text = cell.text.rstrip("\n")
        if cell.status == "interrupted":
            note = f"error: interrupted after {self._seconds:g} seconds; all variables are kept"
        elif cell.status == "lost":
            note = "error: the session ended and a new one begins; all variables are lost"
        else:
            return text or "(no output)"
        return f"{text}\n{note}" if text else note


def score_of(task: Task, final: Message) -> float:
    """1.0 if the final assistant message gives the task's answer, else 0.0. Runs no code. Raises TaskError."""
    return _score(task, InterpreterTask.of(task), final)


def _score(task: Task, data: InterpreterTask, final: Message) -> float:
    content = final_content(final)
    if content is None:
        return 0.0
    return float(same(final_answer(content), task.answer, data.tolerance))


def demonstrate(task: Task, assets: Path | None = None) -> list[Message]:
    """The messages of an episode that runs the task's program, if any, and gives the answer. Raises TaskError."""
    program = InterpreterTask.of(task).program
    answer = answer_message(f"#### {task.answer}")
    return (
        [call_message("python", {"code": program}), result_message(task.answer), answer]
        if program
        else [answer]
    )
