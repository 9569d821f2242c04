"""Worlds and models that misbehave on order, and note what was done to them."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from baleen.agent import ModelFailure, Reply
from baleen.chat import Message
from baleen.environments import Task, ToolFailure
from baleen.environments.task import result_message
from baleen.environments.toolbox import Tool, parameters

TOOL = Tool("look", "Looks", parameters({"at": {"type": "string"}}), str)


def task_named(name: str = "one") -> Task:
    system: Message = {"role": "system", "content": "", "tools": [TOOL.schema]}
    question: Message = {"role": "user", "content": f"What is {name}?"}
    return Task(name, "general", "watched", 1, "train", (system, question), name, {})


class Watched:
    """Answers every call with the number of the step; a final answer equal to the task's is worth 1.

    fails: name of a method -> the error it raises. seconds: how long a step takes. threads: who called.
    """

    def __init__(
        self, task: Task | None = None, fails: dict[str, Exception] | None = None, seconds: float = 0.0
    ) -> None:
        self.task = task or task_named()
        self.closed = 0
        self.threads = {threading.get_ident()}
        self._fails = fails or {}
        self._seconds = seconds
        self._steps = 0

    def _enter(self, method: str) -> None:
        self.threads.add(threading.get_ident())
        if method in self._fails:
            raise self._fails[method]

    def reset(self) -> list[Message]:
        self._enter("reset")
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        self._enter("step")
        time.sleep(self._seconds)
        self._steps += 1
        calls = assistant.get("tool_calls") or ()
        return [result_message(f"{self._steps}.{k}") | _id(call) for k, call in enumerate(calls)]

    def score(self, final: Message) -> float:
        self._enter("score")
        return float(final["content"] == self.task.answer)

    def snapshot(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        pass

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed += 1


def _id(call: dict[str, Any]) -> Message:
    return {"tool_call_id": call["id"]} if "id" in call else {}


def look(*at: str, thought: str | None = None) -> Message:
    """An assistant message with calls."""
    calls = [{"type": "function", "function": {"name": "look", "arguments": f'{{"at": "{x}"}}'}} for x in at]
    message: Message = {"role": "assistant", "content": "", "tool_calls": calls}
    return message if thought is None else message | {"reasoning_content": thought}


def answer(content: str) -> Message:
    return {"role": "assistant", "content": content}


class Model:
    """Says what `script` makes of the conversation and the number of the call; its `asked` keeps conversations."""

    name = "model"

    def __init__(self, script: Callable[[int], Message | Reply], seconds: float = 0.0) -> None:
        self.asked: list[tuple[Message, ...]] = []
        self._script = script
        self._seconds = seconds

    def complete(self, messages: Sequence[Message], tools: Sequence[Any] = (), **options: Any) -> Reply:
        self.asked.append(tuple(messages))
        time.sleep(self._seconds)
        said = self._script(len(self.asked) - 1)
        return said if isinstance(said, Reply) else Reply(said, "stop", 100, 0, 10, 0.01)


def unreachable(number: int) -> Message:
    raise ModelFailure("nobody there")


BROKEN = ToolFailure("the sandbox did not start")
