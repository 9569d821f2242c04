"""Talks to a model by `baleen chat` and, over HTTP, by the openai client; writes what was said to transcripts.md.

python docs/make_transcripts.py runs/quickstart/model
"""

import argparse
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openai import OpenAI

from baleen.environments import Task, environment_for, sample_task

BALEEN = [sys.executable, "-c", "import sys; from baleen.cli.main import main; sys.exit(main(sys.argv[1:]))"]
KINDS = (("sum", 4), ("program", 2), ("calculator", 1), ("lookup", 2))
SECONDS = 120  # for any one thing


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="folder of a model that chats")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "transcripts.md")
    options = parser.parse_args()
    parts = [
        "# Transcripts\n\nMade by `docs/make_transcripts.py` with the model of a quickstart run; every task is held "
        "out: no stage was trained on it.\n",
        *_terminal(options.model),
        *_http(options.model),
    ]
    options.out.write_text("\n".join(parts), encoding="utf-8")
    print(f"wrote {options.out}")


def held_out(family: str, difficulty: int) -> Task:
    return sample_task(family, difficulty, random.Random(f"transcript {family}"), "heldout")


def _terminal(model: Path) -> Iterator[str]:
    yield "## baleen chat\n"
    for family, difficulty in KINDS:
        task = held_out(family, difficulty)
        arguments = ["chat", str(model), "--once", task.question]
        if any(message.get("tools") for message in task.messages):
            arguments += ["--tools", "--store", str(task.data.get("salt", "chat"))]
        done = subprocess.run(
            BALEEN + arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=SECONDS,
            check=True,
        )
        yield _block(f"{family} (the answer is {task.answer})", f"> {task.question}\n{done.stdout.strip()}")


def _http(model: Path) -> Iterator[str]:
    yield "## baleen serve, asked by the openai client\n"
    with _server(model) as address:
        client = OpenAI(base_url=f"{address}/v1", api_key="none", max_retries=0, timeout=SECONDS)
        name = client.models.list().data[0].id
        yield _block("plain", _plain(client, name, held_out("sum", 4)))
        yield _block("streamed", _streamed(client, name, held_out("program", 2)))
        yield _block("with a tool round trip", _tool_round_trip(client, name, held_out("calculator", 1)))


def _plain(client: OpenAI, name: str, task: Task) -> str:
    question = [{"role": "user", "content": task.question}]
    answer = client.chat.completions.create(model=name, messages=question, temperature=0, max_tokens=200)
    message = answer.choices[0].message
    return (
        f"user: {task.question}\nreasoning_content: {message.reasoning_content}\ncontent: {message.content}\n"
        f"usage: {answer.usage.prompt_tokens} + {answer.usage.completion_tokens} tokens"
    )


def _streamed(client: OpenAI, name: str, task: Task) -> str:
    question = [{"role": "user", "content": task.question}]
    chunks = client.chat.completions.create(
        model=name, messages=question, temperature=0, max_tokens=200, stream=True
    )
    lines = [f"user: {task.question}"]
    for chunk in chunks:
        for choice in chunk.choices:
            told = choice.delta.model_dump(exclude_none=True, exclude={"role"})
            lines += [f"{field}: {text!r}" for field, text in told.items() if text]
    return "\n".join(lines)


def _tool_round_trip(client: OpenAI, name: str, task: Task) -> str:
    """As agents do: call, run, send the result back with the reasoning, until there is an answer."""
    world = environment_for(task)
    tools = task.messages[0]["tools"]
    messages: list[Any] = [{"role": "user", "content": task.question}]
    lines = [f"user: {task.question}"]
    for _ in range(4):
        answer = client.chat.completions.create(
            model=name, messages=messages, tools=tools, temperature=0, max_tokens=200
        )
        message = answer.choices[0].message.model_dump(exclude_none=True)
        lines.append(f"reasoning_content: {message.get('reasoning_content')}")
        messages.append(message)
        calls = message.get("tool_calls") or []
        if not calls:
            lines.append(f"content: {message.get('content')}")
            break
        for call, result in zip(calls, world.step(message), strict=True):
            lines.append(f"tool_calls: {call['function']['name']} {call['function']['arguments']}")
            lines.append(f"tool: {result['content']}")
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": result["content"]})
    return "\n".join(lines)


@contextmanager
def _server(model: Path) -> Iterator[str]:
    """A server on a free port of this machine; yields its address."""
    process = subprocess.Popen(
        [*BALEEN, "serve", str(model), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        told = []
        for line in process.stdout:
            told.append(line)
            found = re.search(r"http://\S+?:\d+", line)
            if found:
                yield found[0]
                break
        else:
            raise SystemExit(f"the server did not start:\n{''.join(told)}")
    finally:
        process.terminate()
        process.wait(SECONDS)


def _block(title: str, text: str) -> str:
    # a fence longer than any run of backticks in the text
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`+", text))])
    return f"### {title}\n{fence}text\n{text}\n{fence}\n"


if __name__ == "__main__":
    main()
