"""Answers of chat models that must be one JSON object."""

import json
from typing import Any

from baleen.agent.model import ChatModel, Reply

_MAX_TOKENS = 4_096


class AnswerError(ValueError):
    """What a model said is not what was asked for. `reply`: the whole answer, for its cost, where it is known."""

    def __init__(self, message: str, reply: Reply | None = None) -> None:
        super().__init__(message)
        self.reply = reply


def ask(model: ChatModel, system: str, user: str, seed: int | None = None) -> tuple[dict[str, Any], Reply]:
    """The JSON object a model answers with, perhaps in one fence. Raises AnswerError, ModelFailure."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    reply = model.complete(messages, max_tokens=_MAX_TOKENS, seed=seed)
    if reply.finish_reason != "stop":
        raise AnswerError(f"the answer ended by {reply.finish_reason}", reply)
    content = reply.message.get("content")
    text = content.strip() if isinstance(content, str) else ""
    if text.startswith("```") and text.endswith("```"):
        text = text.removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise AnswerError("the answer is not JSON", reply) from None
    if not isinstance(answer, dict):
        raise AnswerError("the answer is not a JSON object", reply)
    return answer, reply


def usage_of(*replies: Reply | None) -> dict[str, float]:
    """Tokens and dollars of answers, as a verdict keeps them."""
    given = [reply for reply in replies if reply is not None]
    if not given:
        return {}
    return {
        "prompt_tokens": sum(reply.prompt_tokens for reply in given),
        "completion_tokens": sum(reply.completion_tokens for reply in given),
        "dollars": sum(reply.dollars for reply in given),
    }
