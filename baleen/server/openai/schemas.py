"""The request of `POST /chat/completions`: DeepSeek's fields of the V3.2 period, checked one by one.

Unknown fields are ignored, as the hosted API does; a field of OpenAI's API that would change the answer and
is not implemented is refused.
"""

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from baleen.config.engine import MAX_ALTERNATIVES, MAX_BIAS
from baleen.server.limits import Limits

_TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TOKEN_ID = re.compile(r"[0-9]{1,9}")
_REFUSED = ("functions", "function_call")

_STRING: dict[str, Any] = {"type": "string"}
_PART: dict[str, Any] = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": _STRING},
}
_CONTENT_SCHEMA: dict[str, Any] = {"anyOf": [_STRING, {"type": "array", "items": _PART}]}
_STOP_STRING = {"type": "string", "minLength": 1, "maxLength": Limits.STOP_CHARACTERS}
_STOP_SCHEMA: dict[str, Any] = {
    "anyOf": [
        _STOP_STRING,
        {"type": "array", "items": _STOP_STRING, "maxItems": Limits.STOP_STRINGS},
        {"type": "null"},
    ]
}
_BIAS_SCHEMA: dict[str, Any] = {
    "type": "object",
    "propertyNames": {"pattern": f"^{_TOKEN_ID.pattern}$"},
    "additionalProperties": {"type": "number", "minimum": -MAX_BIAS, "maximum": MAX_BIAS},
}
_TOOL_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "function"],
    "properties": {
        "type": {"const": "function"},
        "function": {
            "type": "object",
            "required": ["name"],
            "properties": {
                "name": {"type": "string", "pattern": f"^{_TOOL_NAME.pattern}$"},
                "description": _STRING,
                "parameters": {"type": "object"},
            },
        },
    },
}


def _flatten(content: Any) -> Any:
    """Text parts to one text, joined by newlines; the chat format has no other parts."""
    if not isinstance(content, list):
        return content
    texts = []
    for part in content:
        if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
            raise ValueError('content must be a string or a list of {"type": "text", "text": ...} parts')
        texts.append(part["text"])
    return "\n".join(texts)


def _as_list(stop: Any) -> Any:
    return [stop] if isinstance(stop, str) else [] if stop is None else stop


def _with_token_ids(bias: Any) -> Any:
    """Numbers for keys, which JSON has as strings."""
    if not isinstance(bias, dict):
        return bias
    for key in bias:
        if not _TOKEN_ID.fullmatch(key):
            raise ValueError(f'the keys must be token ids such as "17", not {key[:20]!r}')
    return {int(key): value for key, value in bias.items()}


def _check_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Keeps the object as given: the model reads the function's keys in the client's order."""
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, dict):
        raise ValueError('a tool must be {"type": "function", "function": {...}}')
    name = function.get("name")
    if not isinstance(name, str) or not _TOOL_NAME.fullmatch(name):
        raise ValueError("function.name must be 1 to 64 characters out of a-z, A-Z, 0-9, _ and -")
    if not isinstance(function.get("description", ""), str):
        raise ValueError("function.description must be a string")
    if not isinstance(function.get("parameters", {}), dict):
        raise ValueError("function.parameters must be an object (a JSON schema)")
    return tool


Content = Annotated[str, BeforeValidator(_flatten), WithJsonSchema(_CONTENT_SCHEMA)]
StopString = Annotated[str, Field(min_length=1, max_length=Limits.STOP_CHARACTERS)]
Stop = Annotated[
    list[StopString],
    BeforeValidator(_as_list),
    Field(max_length=Limits.STOP_STRINGS),
    WithJsonSchema(_STOP_SCHEMA),
]
LogitBias = Annotated[
    dict[int, Annotated[float, Field(ge=-MAX_BIAS, le=MAX_BIAS)]],
    BeforeValidator(_with_token_ids),
    WithJsonSchema(_BIAS_SCHEMA),
]
Tool = Annotated[dict[str, Any], AfterValidator(_check_tool), WithJsonSchema(_TOOL_SCHEMA)]


class _Strict(BaseModel):
    # Strict: `"n": true` and `"n": "1"` are mistakes, not numbers.
    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False, frozen=True)


class SystemMessage(_Strict):
    role: Literal["system"]
    content: Content


class UserMessage(_Strict):
    role: Literal["user"]
    content: Content


class CalledFunction(_Strict):
    name: str
    arguments: str


class ToolCall(_Strict):
    id: str
    type: Literal["function"] = "function"
    function: CalledFunction


class AssistantMessage(_Strict):
    role: Literal["assistant"]
    content: Content | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None


class ToolMessage(_Strict):
    role: Literal["tool"]
    content: Content
    tool_call_id: str


ChatMessage = Annotated[
    SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")
]


class Thinking(_Strict):
    type: Literal["enabled", "disabled"]


class StreamOptions(_Strict):
    include_usage: bool = False


class ResponseFormat(_Strict):
    type: Literal["text"] = "text"  # nothing constrains decoding, so JSON cannot be promised


class ChatCompletionRequest(_Strict):
    """One chat completion. `max_tokens` counts reasoning; None stands for the mode's default.

    min_p, top_k, repetition_penalty and cache_salt are the extra fields of vLLM's clients.
    """

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=Limits.MESSAGES)]
    thinking: Thinking | None = None
    max_tokens: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = Field(
        default=None, validation_alias=AliasChoices("max_tokens", "max_completion_tokens")
    )
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    logit_bias: LogitBias | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = None
    cache_salt: Annotated[str, Field(max_length=256)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] | None = None
    n: Annotated[int, Field(ge=1, le=Limits.CHOICES)] | None = None
    stop: Stop = []
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: Annotated[list[Tool], Field(max_length=Limits.TOOLS)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_ALTERNATIVES)] | None = None
    response_format: ResponseFormat | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_what_is_missing(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for field in _REFUSED:
                if data.get(field) is not None:
                    raise ValueError(f"`{field}` is not supported; leave it out")
        return data
