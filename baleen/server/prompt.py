"""From a request's conversation to the token ids of the prompt."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from baleen.chat import EncodingError, Message, ThinkingMode, Tokenizer, encode_pieces
from baleen.server.errors import ApiError
from baleen.server.request import GenerationRequest


def build_prompt(request: GenerationRequest, tokenizer: Tokenizer, max_model_len: int) -> list[int]:
    """Encode the conversation.

    Returns:
        The token ids of the prompt, at least one fewer than `max_model_len`.

    Raises:
        ApiError: 400, the conversation cannot be rendered or leaves no room for an answer.
    """
    check_conversation(request.messages, request.thinking_mode)
    messages, num_inserted = with_tools(in_call_order(request.messages), request.tools)
    try:
        # drop_thinking never changes the text. Leaving it on would refuse conversations that render well.
        pieces = encode_pieces(messages, request.thinking_mode, drop_thinking=False)
    except EncodingError as error:
        place = f"messages[{error.message_index - num_inserted}].{error.field}"
        raise ApiError(400, f"{place}: {str(error).split(': ', 1)[-1]}", place) from None
    token_ids = tokenizer.encode_pieces(pieces)
    if len(token_ids) >= max_model_len:
        raise ApiError(
            400,
            f"This model's maximum context length is {max_model_len} tokens, and the messages take "
            f"{len(token_ids)} of them, which leaves no room for an answer; shorten the messages.",
            "messages",
        )
    return token_ids


def check_conversation(messages: Sequence[Message], thinking_mode: ThinkingMode) -> None:
    """Refuse conversations that would render to a prompt the model was never trained on. Raises ApiError (400)."""
    if messages[-1]["role"] not in ("user", "tool"):
        raise ApiError(400, "The last message must be a user message or a tool result.", "messages")
    last_user = max((i for i, message in enumerate(messages) if message["role"] == "user"), default=-1)
    answered = 0  # tool results up to this index belong to the latest assistant message with calls
    for index, message in enumerate(messages):
        if message["role"] == "tool" and index > answered:
            raise ApiError(
                400,
                f"messages[{index}]: a message with role 'tool' must be a response to a preceding message "
                "with 'tool_calls'.",
                f"messages[{index}]",
            )
        if message["role"] != "assistant":
            continue
        if calls := message.get("tool_calls"):
            _check_results(messages, index, [call["id"] for call in calls])
            answered = index + len(calls)
        if thinking_mode == "thinking" and index > last_user and message.get("reasoning_content") is None:
            raise ApiError(
                400,
                f"Missing `reasoning_content` field in the assistant message at message index {index}. "
                "For more information, please refer to https://api-docs.deepseek.com/guides/thinking_mode#tool-calls",
            )


def in_call_order(messages: Sequence[Message]) -> list[Message]:
    """The messages, with the tool results in the order of the calls they answer: the format matches by position."""
    ordered: list[Message] = []
    position: dict[str, int] = {}
    for is_result, group in groupby(messages, key=lambda message: message["role"] == "tool"):
        run = list(group)
        if is_result:
            run.sort(key=lambda result: position[result["tool_call_id"]])
        else:
            position = {call["id"]: i for i, call in enumerate(run[-1].get("tool_calls") or ())}
        ordered += run
    return ordered


def with_tools(messages: Sequence[Message], tools: Sequence[dict[str, Any]]) -> tuple[list[Message], int]:
    """Put the tools on the first system message, or on an empty one inserted in front.

    Returns:
        The messages, and how many were inserted in front (0 or 1).
    """
    result = list(messages)
    if not tools:
        return result, 0
    for index, message in enumerate(result):
        if message["role"] == "system":
            result[index] = {**message, "tools": tools}
            return result, 0
    return [{"role": "system", "content": "", "tools": tools}, *result], 1


def _check_results(messages: Sequence[Message], index: int, call_ids: list[str]) -> None:
    """Check that the results right after assistant message `index` answer each of its calls exactly once."""
    results = []
    for follower in messages[index + 1 :]:
        if follower["role"] != "tool":
            break
        results.append(follower["tool_call_id"])
    if len(set(call_ids)) != len(call_ids):
        raise ApiError(400, "Two tool calls have the same id.", f"messages[{index}].tool_calls")
    if sorted(results) != sorted(call_ids):
        raise ApiError(
            400,
            "An assistant message with 'tool_calls' must be followed by exactly one tool message for each "
            f"'tool_call_id': the message at index {index} has {len(call_ids)} calls and is followed by "
            f"{len(results)} results{'' if len(results) != len(call_ids) else ' with other ids'}.",
            f"messages[{index}].tool_calls",
        )
