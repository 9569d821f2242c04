"""A chat model at an interpreter task: with the tool, without it, and a scripted one that knows the programs."""

from collections.abc import Iterable, Sequence
from typing import Any

from baleen.agent.model import ChatModel, Reply
from baleen.chat import Message
from baleen.environments import Environment, Task
from baleen.environments.interpreter import InterpreterTask, score_of
from baleen.environments.task import answer_message, call_message

_DIRECT = "Answer at once, without tools. Give the final answer alone in the last line, as #### ANSWER."


class Usage:
    """Tokens and dollars of several calls, as a verdict holds them."""

    def __init__(self) -> None:
        self.totals = {"prompt_tokens": 0, "completion_tokens": 0, "dollars": 0.0}

    def add(self, reply: Reply) -> None:
        self.totals["prompt_tokens"] += reply.prompt_tokens
        self.totals["completion_tokens"] += reply.completion_tokens
        self.totals["dollars"] += reply.dollars


def attempt(
    model: ChatModel, world: Environment, max_turns: int, seed: int, temperature: float, usage: Usage
) -> float:
    """One episode with the tool: its score, 0.0 without an answer in `max_turns`. Raises ModelFailure, ToolFailure."""
    messages = world.reset()
    for turn in range(max_turns):
        # The tools are in the system message.
        reply = model.complete(messages, temperature=temperature, seed=seed * max_turns + turn)
        usage.add(reply)
        message = reply.message
        if not message.get("tool_calls"):
            return world.score(message)
        messages = [*messages, message, *world.step(message)]
    return 0.0


def direct(model: ChatModel, task: Task, seed: int, temperature: float, usage: Usage) -> float:
    """The score of one answer without the tool. Raises ModelFailure."""
    messages: list[Message] = [
        {"role": "system", "content": _DIRECT},
        {"role": "user", "content": task.question},
    ]
    reply = model.complete(messages, temperature=temperature, seed=seed)
    usage.add(reply)
    return score_of(task, reply.message)


class ReferenceSolver:
    """A scripted chat model: runs the program that a task carries, and answers what it prints.

    It knows the programs of `tasks` by their questions; without the tool, or at other questions, it says nothing.
    """

    name = "reference"

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._programs = {task.question: InterpreterTask.of(task).program for task in tasks}

    def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]] = (),
        *,
        max_tokens: int | None = None,
        temperature: float | None = None,
        seed: int | None = None,
    ) -> Reply:
        last = messages[-1]
        if last["role"] == "tool":
            return Reply(answer_message(f"#### {str(last['content']).strip()}"), "stop")
        program = self._programs.get(str(last["content"]), "")
        if not program or not any(message.get("tools") for message in messages):
            return Reply(answer_message(""), "stop")
        return Reply(call_message("python", {"code": program}), "tool_calls")
