"""Is a chat a chat? Share of right answers per turn, in conversations over mixed kinds of tasks.

    python benchmarks/conversations.py MODEL [--count 200] [--turns 4] [--through engine|http] [--seed 0] [--out FILE]

MODEL is a model folder or the folder of a finished run. Each conversation asks held-out tasks of the quickstart's
families, drawn evenly, greedily answered, and goes on whatever the answers were. `engine` asks the session that
`baleen chat` runs; `http` asks `baleen serve` through OpenAI's client, 16 conversations at once, as an agent would:
tool results go back with the thinking before them, which is left out once the next question is asked. Answers are
graded by the tasks' own environments. A conversation has a broken format if any answer could not be read completely,
was cut, or was refused.
"""

import argparse
import json
import random
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import openai

from baleen.cli.chat import ChatOptions
from baleen.cli.chat_session import MAX_TOOL_ROUNDS, ChatSession, Screen, builtin_world
from baleen.cli.loading import ComputeOptions, LoadedModel, load
from baleen.config import UserError
from baleen.config.engine import SamplingParams
from baleen.environments import Task, environment_for, sample_conversation
from baleen.evaluation import wilson

# The tasks that the quickstart evaluates its models on (evaluation.tasks of its recipe).
DIFFICULTIES = {"sum": (3, 3, 4), "program": (1, 2, 3), "calculator": (1,), "lookup": (1, 2)}
PARALLEL = 16  # conversations at once over HTTP, as many as the server answers at once
START_SECONDS, REQUEST_SECONDS, END_SECONDS = 300, 600, 60


@dataclass
class Turn:
    """One question of a conversation. problems: what was broken about its answer, in words."""

    family: str
    question: str
    expected: str
    answer: str = ""
    is_right: bool = False
    problems: list[str] = field(default_factory=list)


class NoScreen(Screen):
    """Shows nothing."""


def tools_of(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """The tools that a conversation offers."""
    return [tool for message in tasks[0].messages for tool in message.get("tools", ())]


def graded(task: Task, answer: str, problems: list[str]) -> Turn:
    score = environment_for(task).score({"role": "assistant", "content": answer})
    return Turn(task.family, task.question, task.answer, answer, score == 1.0, problems)


def through_session(loaded: LoadedModel, tasks: Sequence[Task]) -> list[Turn]:
    """Ask the questions as one conversation of `baleen chat`."""
    params = SamplingParams(max_tokens=ChatOptions.max_tokens, temperature=0.0)
    session = ChatSession(
        loaded.engine,
        loaded.tokenizer,
        builtin_world(str(tasks[0].data.get("salt", ""))),
        loaded.max_model_len,
        params,
        thinking=True,
        tools=bool(tools_of(tasks)),
    )
    turns = []
    for task in tasks:
        try:
            answer = session.ask(task.question, NoScreen())
            turns.append(graded(task, answer.content, answer.problems))
        except UserError as error:
            turns.append(graded(task, "", [str(error)]))
    return turns


def through_http(client: openai.OpenAI, model: str, tasks: Sequence[Task]) -> list[Turn]:
    """Ask the questions as one conversation over HTTP, running the tools here."""
    messages: list[Any] = []
    turns = []
    for task in tasks:
        start = len(messages)
        messages.append({"role": "user", "content": task.question})
        answer, problems = _answer_over_http(client, model, messages, tasks)
        turns.append(graded(task, answer, problems))
        for message in messages[start:]:
            message.pop("reasoning_content", None)
    return turns


def _answer_over_http(
    client: openai.OpenAI, model: str, messages: list[Any], tasks: Sequence[Task]
) -> tuple[str, list[str]]:
    """Extends `messages` by what the last question leads to. Returns the answer and what was broken."""
    world = environment_for(tasks[0])
    problems = []
    for _ in range(MAX_TOOL_ROUNDS):
        try:
            completion = client.chat.completions.create(
                model=model,
                messages=messages,
                tools=tools_of(tasks) or openai.omit,
                temperature=0.0,
                max_tokens=ChatOptions.max_tokens,
            )
        except openai.APIStatusError as error:
            return "", [*problems, str(error)]
        choice = completion.choices[0]
        message = choice.message.model_dump(exclude_none=True)
        messages.append(message)
        if choice.finish_reason == "length":
            problems.append("cut")
        if error := getattr(choice, "parse_error", None):
            problems.append(str(error))
        if not message.get("tool_calls"):
            return message.get("content", ""), problems
        messages += world.step(message)
    return "", [*problems, f"no answer in {MAX_TOOL_ROUNDS} rounds of tool calls"]


@contextmanager
def serving(model: Path) -> Iterator[openai.OpenAI]:
    """`baleen serve` on a free loopback port; ended, whatever happens, when the block ends."""
    command = [sys.executable, "-m", "baleen.cli.main", "serve", str(model), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    too_late = threading.Timer(START_SECONDS, process.kill)
    too_late.start()
    try:
        found = next(filter(None, (re.search(r"http://\S+?:\d+", line) for line in process.stdout)), None)
        too_late.cancel()
        if found is None:
            raise SystemExit("the server did not start")
        yield openai.OpenAI(base_url=f"{found[0]}/v1", api_key="none", timeout=REQUEST_SECONDS)
    finally:
        too_late.cancel()
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def summary(conversations: Sequence[Sequence[Turn]]) -> dict[str, Any]:
    """Right answers per turn number, per family and of all, with 95 % Wilson intervals; broken conversations."""
    groups: dict[str, list[Turn]] = {}
    for turns in conversations:
        for number, turn in enumerate(turns, 1):
            groups.setdefault(f"turn {number}", []).append(turn)
    for turn in sorted((turn for turns in conversations for turn in turns), key=lambda turn: turn.family):
        groups.setdefault(turn.family, []).append(turn)
    groups["all"] = [turn for turns in conversations for turn in turns]
    return {
        "right": {name: _share([turn.is_right for turn in turns]) for name, turns in groups.items()},
        "conversations": {
            "all answers right": _share([all(turn.is_right for turn in turns) for turns in conversations]),
            "any format broken": _share([any(turn.problems for turn in turns) for turns in conversations]),
        },
    }


def _share(outcomes: Sequence[bool]) -> dict[str, float]:
    interval = wilson(sum(outcomes), len(outcomes))
    return {"count": sum(outcomes), "n": len(outcomes), **interval._asdict()}


def table(figures: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """The figures of `summary` as lines of text."""
    lines = []
    for title, rows in figures.items():
        lines.append(f"{title:<20} share  95 % interval  count of n")
        lines += [
            f"  {name:<18} {row['estimate']:.3f}  {row['low']:.3f} to {row['high']:.3f}  {row['count']} of {row['n']}"
            for name, row in rows.items()
        ]
    return "\n".join(lines)


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("model", type=Path, metavar="MODEL")
    options.add_argument("--count", type=int, default=200, help="conversations (200)")
    options.add_argument("--turns", type=int, default=4, help="questions per conversation (4)")
    options.add_argument("--through", choices=("engine", "http"), default="engine")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", type=Path, help="JSON file for the figures and every turn")
    arguments = options.parse_args()
    if arguments.count < 1 or arguments.turns < 1:
        options.error("--count and --turns must be 1 or more")
    rng = random.Random(arguments.seed)
    drawn = [
        sample_conversation(DIFFICULTIES, arguments.turns, rng, "heldout") for _ in range(arguments.count)
    ]
    if arguments.through == "engine":
        loaded = load(arguments.model, max_running=1, max_model_len=None, compute=ComputeOptions())
        conversations = [through_session(loaded, tasks) for tasks in drawn]
    else:
        with serving(arguments.model) as client, ThreadPoolExecutor(PARALLEL) as pool:
            name = client.models.list().data[0].id
            conversations = list(pool.map(lambda tasks: through_http(client, name, tasks), drawn))
    figures = summary(conversations)
    print(table(figures))
    if arguments.out:
        settings = {name: str(value) for name, value in vars(arguments).items()}
        turns = [[asdict(turn) for turn in turns] for turns in conversations]
        arguments.out.write_text(
            json.dumps({"settings": settings, **figures, "turns": turns}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
