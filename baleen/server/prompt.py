"""A validated request to a prompt: mode, messages as the chat format wants them, token ids."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from baleen.chat import EncodingError, Message, Tokenizer, encode_pieces
from baleen.server.errors import ApiError
from baleen.server.schemas import (
    AssistantMessage,
    ChatCompletionRequest,
    ChatMessage,
    ToolMessage,
    UserMessage,
)

ThinkingMode = Literal["chat", "thinking"]

# DeepSeek's two names for one model; the served name follows the server's default mode.
MODEL_MODES: dict[str, ThinkingMode] = {"deepseek-chat": "chat", "deepseek-reasoner": "thinking"}


@dataclass(frozen=True, slots=True)
class Prompt:
    """What the engine gets. `tools_offered`: calls in the answer are meant for the client."""

    token_ids: list[int]
    thinking_mode: ThinkingMode
    tools_offered: bool


def thinking_mode_of(
    request: ChatCompletionRequest, served_model: str, default: ThinkingMode
) -> ThinkingMode:
    """The mode a request asks for: `thinking` decides, else the model. Raises ApiError for other names."""
    if request.model == served_model:
        mode = default
    elif request.model in MODEL_MODES:
        mode = MODEL_MODES[request.model]
    else:
        known = ", ".join([served_model, *MODEL_MODES])
        raise ApiError(400, f"Model Not Exist: {request.model[:80]!r}; this server has {known}", "model")
    if request.thinking is not None:
        mode = "thinking" if request.thinking.type == "enabled" else "chat"
    return mode


def build_prompt(
    request: ChatCompletionRequest, thinking_mode: ThinkingMode, tokenizer: Tokenizer, max_model_len: int
) -> Prompt:
    """Encode the conversation. Raises ApiError (400) when it has no rendering or does not fit."""
    check_conversation(request.messages, thinking_mode)
    tools = request.tools if request.tool_choice != "none" else None
    messages, inserted = to_messages(request.messages, tools)
    try:
        # drop_thinking never changes the text; left on it refuses conversations that render well.
        pieces = encode_pieces(messages, thinking_mode, drop_thinking=False)
    except EncodingError as error:
        place = f"messages[{error.message_index - inserted}].{error.field}"
        raise ApiError(400, f"{place}: {str(error).split(': ', 1)[-1]}", place) from None
    token_ids = tokenizer.encode_pieces(pieces)
    if len(token_ids) >= max_model_len:
        raise ApiError(
            400,
            f"This model's maximum context length is {max_model_len} tokens, and the messages take "
            f"{len(token_ids)} of them, which leaves no room for an answer; shorten the messages.",
            "messages",
        )
    return Prompt(token_ids, thinking_mode, bool(tools))


def check_conversation(messages: Sequence[ChatMessage], thinking_mode: ThinkingMode) -> None:
    """Refuse what would render to a prompt the model was never trained on. Raises ApiError (400)."""
    last = messages[-1]
    if not isinstance(last, UserMessage | ToolMessage):
        raise ApiError(400, "The last message must be a user message or a tool result.", "messages")
    last_user = max((i for i, m in enumerate(messages) if isinstance(m, UserMessage)), default=-1)
    answered = 0  # results up to this index belong to the last assistant message with calls
    for index, message in enumerate(messages):
        if isinstance(message, ToolMessage) and index > answered:
            raise ApiError(
                400,
                f"messages[{index}]: a message with role 'tool' must be a response to a preceding message "
                "with 'tool_calls'.",
                f"messages[{index}]",
            )
        if not isinstance(message, AssistantMessage):
            continue
        if message.tool_calls:
            _check_results(messages, index, message)
            answered = index + len(message.tool_calls)
        if thinking_mode == "thinking" and index > last_user and message.reasoning_content is None:
            raise ApiError(
                400,
                f"Missing `reasoning_content` field in the assistant message at message index {index}. "
                "For more information, please refer to https://api-docs.deepseek.com/guides/thinking_mode#tool-calls",
            )


def to_messages(
    messages: Sequence[ChatMessage], tools: list[dict[str, Any]] | None
) -> tuple[list[Message], int]:
    """Messages in the form of `baleen.chat`, tools on the first system message (or on one put in front).

    Tool results are put in the order of the calls they answer: the format matches them by position.
    Returns the messages and how many were inserted in front (0 or 1).
    """
    result: list[Message] = []
    order: dict[str, int] = {}
    for is_result, run in groupby(messages, key=lambda message: isinstance(message, ToolMessage)):
        entries = [message.model_dump(exclude_none=True) for message in run]
        if is_result:
            entries.sort(key=lambda entry: order[entry["tool_call_id"]])
        else:
            calls = entries[-1].get("tool_calls", ())
            order = {call["id"]: position for position, call in enumerate(calls)}
        result += entries
    if not tools:
        return result, 0
    for entry in result:
        if entry["role"] == "system":
            entry["tools"] = tools
            return result, 0
    return [{"role": "system", "content": "", "tools": tools}, *result], 1


def _check_results(messages: Sequence[ChatMessage], index: int, message: AssistantMessage) -> None:
    calls = [call.id for call in message.tool_calls or ()]
    results = []
    for follower in messages[index + 1 :]:
        if not isinstance(follower, ToolMessage):
            break
        results.append(follower.tool_call_id)
    if len(set(calls)) != len(calls):
        raise ApiError(400, "Two tool calls have the same id.", f"messages[{index}].tool_calls")
    if sorted(results) != sorted(calls):
        raise ApiError(
            400,
            "An assistant message with 'tool_calls' must be followed by exactly one tool message for each "
            f"'tool_call_id': the message at index {index} has {len(calls)} calls and is followed by "
            f"{len(results)} results{'' if len(results) != len(calls) else ' with other ids'}.",
            f"messages[{index}].tool_calls",
        )
