"""Answers of the API. Fields that are set are sent, null included; fields left unset do not appear."""

from typing import Literal

from pydantic import BaseModel

from baleen.chat.collector import FinishReason


class FunctionDelta(BaseModel):
    name: str = ""
    arguments: str


class ToolCallDelta(BaseModel):
    """A whole call; in a stream name and id come once, `arguments` in pieces under one `index`."""

    index: int = 0
    id: str = ""
    type: Literal["function"] = "function"
    function: FunctionDelta


class ChoiceMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] = []


class TopLogprob(BaseModel):
    """A token and its logarithmic probability.

    Under the distribution that temperature, penalties and bias make, before top_p, top_k and min_p cut it.
    """

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """A token of the answer; `top_logprobs` has the likeliest at its place, the likeliest first."""

    top_logprobs: list[TopLogprob]


class ChoiceLogprobs(BaseModel):
    content: list[TokenLogprob]


class CompletionChoice(BaseModel):
    """`parse_error` (Baleen's own) appears where the model's text did not follow its format and parts were left out."""

    index: int
    message: ChoiceMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason
    parse_error: str | None = None


class ChunkChoice(BaseModel):
    index: int
    delta: ChoiceMessage
    logprobs: ChoiceLogprobs | None
    finish_reason: FinishReason | None
    parse_error: str | None = None


class PromptTokensDetails(BaseModel):
    cached_tokens: int


class CompletionTokensDetails(BaseModel):
    reasoning_tokens: int


class Usage(BaseModel):
    """Tokens of a request: hit + miss = prompt; completion holds reasoning and the end-of-sentence token."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_cache_hit_tokens: int
    prompt_cache_miss_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class ChatCompletion(BaseModel):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[CompletionChoice]
    usage: Usage


class ChatCompletionChunk(BaseModel):
    """One event of a stream. `usage`, if asked for, is null but in the last chunk, which has no choices."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    error: ErrorDetail


class ModelCard(BaseModel):
    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    object: Literal["list"]
    data: list[ModelCard]
