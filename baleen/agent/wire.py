"""Conversations as OpenAI-compatible servers take them, and their answers as messages.

DeepSeek's rules for thinking hold: the thinking of a turn goes back with its tool calls until the next question
of the user, from then on it is left out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from baleen.chat import Message, without_lone_surrogates

_TURN_ROLES = ("user", "developer")
_KEPT = {"role", "content", "name", "tool_calls", "tool_call_id"}


def offered_tools(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The tools that system and developer messages carry, as tasks have them."""
    return [tool for message in messages for tool in message.get("tools") or ()]


def to_wire(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """`messages` without what only Baleen knows; every call has an id and every result the id of its call.

    An empty system message, which only carried tools, is left out. Arguments that are no JSON object become one
    that quotes them: servers refuse a conversation that holds anything else.
    """
    last_turn = max((i for i, m in enumerate(messages) if m["role"] in _TURN_ROLES), default=-1)
    wire: list[dict[str, Any]] = []
    waiting: list[str] = []
    for i, message in enumerate(messages):
        if message["role"] == "system" and not message.get("content"):
            continue
        entry = {key: value for key, value in message.items() if key in _KEPT and value is not None}
        if message["role"] == "assistant":
            entry.pop("tool_calls", None)
            if calls := message.get("tool_calls"):
                entry["tool_calls"] = [_call(call, f"call_{i}_{k}") for k, call in enumerate(calls)]
            waiting = [call["id"] for call in entry.get("tool_calls", ())]
            entry.setdefault("content", "")
            if i > last_turn and message.get("reasoning_content") is not None:
                entry["reasoning_content"] = message["reasoning_content"]
        elif message["role"] == "tool":
            given = waiting.pop(0) if waiting else f"call_{i}"
            entry.setdefault("tool_call_id", given)
        wire.append(entry)
    return wire


def _call(call: Mapping[str, Any], spare_id: str) -> dict[str, Any]:
    function = call["function"]
    arguments = function["arguments"]
    if not is_object(arguments):
        arguments = json.dumps({"malformed_arguments": arguments})
    called = {"name": function["name"], "arguments": arguments}
    return {"id": call.get("id") or spare_id, "type": "function", "function": called}


def is_object(text: str) -> bool:
    """Whether `text` is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def from_wire(message: Any) -> Message | None:
    """The assistant message of an answer of the `openai` library; None where a call in it has no name.

    `reasoning_content` is there if the server gave any (under that name or as `reasoning`). Ids that are missing
    or given twice are replaced, and lone surrogates by U+FFFD.
    """
    extra = message.model_extra or {}
    answer: Message = {"role": "assistant", "content": _text(message.content) or _text(message.refusal)}
    thought = extra.get("reasoning_content")
    thought = extra.get("reasoning") if thought is None else thought
    if isinstance(thought, str):
        answer["reasoning_content"] = thought
    calls: list[dict[str, Any]] = []
    for k, call in enumerate(message.tool_calls or ()):
        function = getattr(call, "function", None)
        if function is None or not isinstance(function.name, str) or not function.name:
            return None
        # Some servers leave the arguments of a tool without parameters empty.
        arguments = (
            function.arguments if isinstance(function.arguments, str) else json.dumps(function.arguments)
        )
        name = {
            "name": function.name,
            "arguments": arguments if arguments.strip() not in ("", "null") else "{}",
        }
        taken = {earlier["id"] for earlier in calls}
        call_id = call.id if isinstance(call.id, str) and call.id and call.id not in taken else f"call_{k}"
        calls.append({"id": call_id, "type": "function", "function": name})
    if calls:
        answer["tool_calls"] = calls
    return without_lone_surrogates(answer)


def _text(content: Any) -> str:
    """Content as text: some servers send a list of parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""
