"""The world of interpreter tasks: a question, a stateful `python` tool, and a check of the final answer."""

import json
from collections.abc import Callable
from pathlib import Path

from baleen.chat import Message
from baleen.environments.interpreter.answers import final_answer, same
from baleen.environments.interpreter.kernel import Kernel
from baleen.environments.task import Task, answer_message, call_message, final_content, result_message
from baleen.environments.toolbox import Tool, Toolbox, ToolError, parameters

CELL_SECONDS = 20.0
_CODE_CHARACTERS = 100_000

_INSTRUCTIONS = (
    "Solve the problem; compute with the python tool where that helps. Give the final answer alone in the last "
    "line of your last message, as #### ANSWER."
)


def _tool(run: Callable[[str], str]) -> Tool:
    description = (
        "Run Python code in a session that keeps its variables. Returns what it prints, the value of a last "
        f"expression, and errors. At most {CELL_SECONDS:g} seconds a call; no network."
    )
    return Tool("python", description, parameters({"code": {"type": "string"}}), run)


SYSTEM_MESSAGE: Message = {
    "role": "system",
    "content": _INSTRUCTIONS,
    "tools": [_tool(lambda code: "").schema],
}


class InterpreterWorld:
    """An episode of one task. Its kernel starts at the first call and ends with `close`.

    `task.data["tolerance"]`: how far a numerical answer may be off, as a decimal; exact if not given.
    """

    def __init__(self, task: Task, assets: Path | None = None, cell_seconds: float = CELL_SECONDS) -> None:
        """Raises SandboxUnavailable."""
        self.task = task
        self._seconds = cell_seconds
        self._kernel = Kernel()
        self._cells: list[str] = []  # what the present state of the kernel came from
        self._toolbox = Toolbox([_tool(self._python)])

    def reset(self) -> list[Message]:
        self.restore(b"[]")
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        return self._toolbox.answer(assistant)

    def score(self, final: Message) -> float:
        return score_of(self.task, final)

    def snapshot(self) -> bytes:
        """The cells that led here. A kernel's memory cannot be copied: `restore` runs them again.

        That is faithful for cells that depend on nothing but earlier cells; clocks and the randomness of the
        system differ, and a cell that was interrupted is interrupted at another point.
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
            raise ToolError(f"the code has {len(code)} characters; at most {_CODE_CHARACTERS} are run")
        cell = self._kernel.run(code, self._seconds)
        if cell.status == "lost":
            self._cells = []
        else:
            self._cells.append(code)
        text = cell.text.rstrip("\n")
        if cell.status == "interrupted":
            note = f"error: interrupted after {self._seconds:g} seconds; all variables are kept"
        elif cell.status == "lost":
            note = "error: the session ended and a new one begins: all variables are lost"
        else:
            return text or "(no output)"
        return f"{text}\n{note}" if text else note


def score_of(task: Task, final: Message) -> float:
    """1.0 if the final assistant message gives the task's answer, else 0.0; runs nothing."""
    content = final_content(final)
    if content is None:
        return 0.0
    return float(same(final_answer(content), task.answer, str(task.data.get("tolerance", "0"))))


def demonstrate(task: Task, assets: Path | None = None) -> list[Message]:
    """The messages of an episode that runs the program which the task carries, if any, and gives its answer."""
    program = str(task.data.get("program", ""))
    answer = answer_message(f"#### {task.answer}")
    return (
        [call_message("python", {"code": program}), result_message(task.answer), answer]
        if program
        else [answer]
    )
