"""What a task is, what a world must do, and the messages that tasks and demonstrations are made of."""

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Protocol, Self

from baleen.chat import Message, without_lone_surrogates
from baleen.config.errors import UserError

Domain = Literal["math", "logic", "tool", "code", "search", "interpreter", "general"]
Split = Literal["train", "heldout"]
Style = Literal["full", "short", "direct"]

SPLITS: tuple[Split, ...] = ("train", "heldout")
STYLES: tuple[Style, ...] = ("full", "short", "direct")
_HELDOUT_ONE_IN = 8


class TaskError(ValueError):
    """A family, difficulty, split or style that does not exist; the message lists what does."""


class ToolFailure(RuntimeError):
    """A tool could not be run at all, through no fault of the policy: the rollout gets no reward."""


@dataclass(frozen=True)
class Task:
    """One problem with a known answer.

    `messages` opens the conversation and ends with the user's question; `data` is the instance as plain JSON
    values, enough to solve and to check it. Two tasks of one `id` are the same problem.
    """

    id: str
    domain: Domain
    family: str
    difficulty: int
    split: Split
    messages: tuple[Message, ...]
    answer: str
    data: Mapping[str, Any] = field(repr=False)

    @property
    def question(self) -> str:
        return str(self.messages[-1]["content"])

    def to_row(self) -> dict[str, Any]:
        """The task as one row of a `tasks.jsonl`."""
        return asdict(self)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The task of a row of `to_row`, read back from JSON. Raises TaskError."""
        missing = [f.name for f in fields(cls) if f.name not in row]
        if missing:
            raise TaskError(
                f"a task's row lacks {', '.join(missing)}; was the file written by `baleen synth`?"
            )
        values = {f.name: without_lone_surrogates(row[f.name]) for f in fields(cls)}
        return cls(**values | {"messages": tuple(row["messages"])})


class Environment(Protocol):
    """A world for one episode of one task. It speaks messages only: it never sees tokens or a model.

    The same task and the same assistant messages give the same replies and the same score.
    """

    @property
    def task(self) -> Task: ...

    def reset(self) -> list[Message]:
        """Begin the episode: the messages to answer."""
        ...

    def step(self, assistant: Message) -> list[Message]:
        """The world's replies, one tool message per call in order; none when the episode is over.

        Raises ToolFailure.
        """
        ...

    def score(self, final: Message) -> float:
        """0.0 to 1.0 for what was done and for the final assistant message; 1.0 is solved. Raises ToolFailure."""
        ...

    def snapshot(self) -> bytes:
        """The state of the episode, for `restore` on any environment of the same task."""
        ...

    def restore(self, state: bytes) -> None: ...

    def close(self) -> None:
        """Give back what the episode holds (processes, files). Harmless when repeated."""
        ...


class Family(Protocol):
    """A kind of task with a difficulty dial. Instances are mappings of JSON values; only `draw` is random."""

    name: str
    domain: Domain
    difficulties: range
    uses_tools: bool

    def draw(self, difficulty: int, rng: random.Random) -> dict[str, Any]:
        """A random instance."""
        ...

    def key(self, data: Mapping[str, Any]) -> str:
        """Names the instance for the split: instances that teach each other's answer share a key."""
        ...

    def question(self, data: Mapping[str, Any]) -> str: ...

    def answer(self, data: Mapping[str, Any]) -> str: ...

    def demonstrate(self, data: Mapping[str, Any], style: Style) -> list[Message]:
        """A whole episode after the question, ending with the assistant's answer."""
        ...

    def near_miss(self, data: Mapping[str, Any]) -> str:
        """A wrong answer of the kind a careless solver gives."""
        ...


def final_content(message: Message) -> str | None:
    """The content of an assistant message that ends an episode; None for any other message."""
    content = message.get("content")
    ends = message.get("role") == "assistant" and not message.get("tool_calls")
    return content if ends and isinstance(content, str) else None


def split_of(family: str, key: str) -> Split:
    """About one instance in eight is held out, by hash: no seed or sampling order can mix the splits."""
    digest = hashlib.blake2b(f"{family}:{key}".encode(), digest_size=4).digest()
    return "heldout" if int.from_bytes(digest, "big") % _HELDOUT_ONE_IN == 0 else "train"


def answer_message(content: str, thought: str | None = None) -> Message:
    """The assistant's last message; without a thought it is a chat-mode one."""
    message: Message = {"role": "assistant", "content": content}
    if thought is not None:
        message["reasoning_content"] = thought
    return message


def call_message(name: str, arguments: Mapping[str, str], thought: str | None = None) -> Message:
    """An assistant message with one tool call and no other text."""
    return calls_message([(name, arguments)], thought)


def calls_message(calls: Iterable[tuple[str, Mapping[str, Any]]], thought: str | None = None) -> Message:
    """An assistant message with tool calls, each (name, arguments), and no other text."""
    functions = ({"name": name, "arguments": json.dumps(dict(arguments))} for name, arguments in calls)
    made = [{"type": "function", "function": function} for function in functions]
    return answer_message("", thought) | {"tool_calls": made}


def result_message(content: str) -> Message:
    return {"role": "tool", "content": content}


def tool_episode(
    steps: Sequence[tuple[str, dict[str, str], str, str]], answer: str, style: Style
) -> list[Message]:
    """Messages of an episode of tool calls.

    steps: (tool name, arguments, what is thought before the call, result). After the last result the answer
    is thought, then given. Style "direct" has no thoughts.
    """
    messages: list[Message] = []
    thinks = style != "direct"
    for name, arguments, thought, result in steps:
        messages.append(call_message(name, arguments, f"= {thought}" if thinks else None))
        messages.append(result_message(result))
    messages.append(answer_message(answer, f"= {answer}" if thinks else None))
    return messages


def read_tasks(path: Path) -> list[Task]:
    """The tasks of a `tasks.jsonl`. Raises UserError, naming the line that cannot be read, and OSError."""
    tasks = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                tasks.append(Task.from_row(json.loads(line)))
            except (ValueError, TypeError, KeyError) as error:
                raise UserError(f"{path}, line {number}: {error}") from None
    return tasks
