"""encode -> model text -> parse -> encode is the identity, but for what the format itself cannot carry."""

import json
import random
from typing import Any

import pytest

from baleen.chat import Message, ParseError, encode_messages, parse_message_from_completion_text
from baleen.chat.tokens import BOS, CALLS_START, DSML, EOS, THINK_END, THINK_START

ALPHABET = 'aB 0"\\\n\t<>/｜é🐋\u2028{}[]:,=' + "\u0000"
TEXTS = [
    "",
    "{}",
    "\n\n",
    "<",
    "</",
    "<｜",
    "</result>",
    "<function_results>",
    'name="x">\n',
    "null",
    "=",
    ">\n",
]


def text(rng: random.Random) -> str:
    return "".join(
        rng.choice(TEXTS) if rng.random() < 0.3 else rng.choice(ALPHABET) for _ in range(rng.randrange(9))
    )


def value(rng: random.Random, depth: int = 2) -> Any:
    kind = rng.randrange(8 if depth else 6)
    if kind < 2:
        return text(rng)
    if kind < 6:
        return rng.choice([0, -7, 10**20, 1.0, 1e-07, 1e22, True, False, None])
    if kind == 6:
        return [value(rng, depth - 1) for _ in range(rng.randrange(3))]
    return {text(rng): value(rng, depth - 1) for _ in range(rng.randrange(3))}


def assistant(rng: random.Random, may_answer: bool) -> Message:
    message: Message = {"role": "assistant", "content": text(rng), "reasoning_content": text(rng) or "r"}
    if not may_answer or rng.random() < 0.6:
        calls = [
            {"name": text(rng) or "f", "arguments": {text(rng): value(rng) for _ in range(rng.randrange(4))}}
            for _ in range(rng.randrange(1, 4))
        ]
        message["tool_calls"] = [
            {
                "type": "function",
                "function": {"name": call["name"], "arguments": json.dumps(call["arguments"])},
            }
            for call in calls
        ]
    return message


def conversation(rng: random.Random) -> tuple[list[Message], list[int]]:
    """Messages, and the places of the assistant's among them that stand after the last user message."""
    messages: list[Message] = [{"role": "system", "content": text(rng)}] if rng.random() < 0.5 else []
    for _ in range(rng.randrange(2)):
        messages += [{"role": "user", "content": text(rng)}, {"role": "assistant", "content": text(rng)}]
    messages.append({"role": rng.choice(["user", "developer"]), "content": text(rng) or "q"})
    places: list[int] = []
    for turn in range(rng.randrange(1, 4)):
        message = assistant(rng, may_answer=turn == 2)
        places.append(len(messages))
        messages.append(message)
        messages += [{"role": "tool", "content": text(rng)} for _ in message.get("tool_calls", ())]
        if "tool_calls" not in message:
            break
    return messages, places


def encode(messages: list[Message], mode: str, context: list[Message] | None = None) -> str:
    return encode_messages(messages, mode, context, drop_thinking=False)


def test_ten_thousand_conversations_come_back():
    rng = random.Random(5)
    num_calls = 0
    for _ in range(10_000):
        mode = rng.choice(["thinking", "chat"])
        messages, places = conversation(rng)
        prompt = encode(messages, mode)
        again = list(messages)
        for place in places:
            completion = encode([messages[place]], mode, context=messages[:place])
            again[place] = parse_message_from_completion_text(completion, mode)
            num_calls += len(again[place]["tool_calls"])
        assert encode(again, mode) == prompt
    assert num_calls > 10_000


CANNOT = f"x/{DSML}parameter"


@pytest.mark.parametrize(
    "change",
    [
        *({"content": f"a{token}b"} for token in (BOS, EOS, THINK_START, THINK_END, DSML, CALLS_START)),
        *(
            {"reasoning_content": f"a{token}b"}
            for token in (BOS, EOS, THINK_START, THINK_END, DSML, CALLS_START)
        ),
        {"arguments": {"k": CANNOT}},
        {"arguments": {"k": [CANNOT]}},
        {"arguments": {CANNOT: 1}},
        {"arguments": {'a" string="true">b': 1}},
        {"name": f"f<{DSML}parameter"},
        {"name": f"f</{DSML}invoke"},
    ],
)
def test_what_the_format_cannot_carry(change):
    """The cases that docs/chat.md names; the release has no escapes for them."""
    function = {"name": change.get("name", "f"), "arguments": json.dumps(change.get("arguments", {}))}
    message = {"role": "assistant", "content": "c", "reasoning_content": "r", **change}
    message["tool_calls"] = [{"type": "function", "function": function}]
    question = [{"role": "user", "content": "q"}]
    completion = encode([message], "thinking", context=question)
    try:
        parsed = parse_message_from_completion_text(completion, "thinking")
    except ParseError:
        return
    call = parsed["tool_calls"][0]["function"]
    assert (call["name"], json.loads(call["arguments"])) != (
        function["name"],
        json.loads(function["arguments"]),
    )
