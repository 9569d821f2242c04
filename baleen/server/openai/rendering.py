"""From the service's choices and counts to the objects of OpenAI's answers."""

from typing import Any

from baleen.chat.collector import CallDelta
from baleen.server.choice import Choice, ChoiceDelta
from baleen.server.choice import TokenLogprob as SampledToken
from baleen.server.openai.responses import (
    ChoiceLogprobs,
    ChoiceMessage,
    ChunkChoice,
    CompletionChoice,
    CompletionTokensDetails,
    FunctionDelta,
    PromptTokensDetails,
    TokenLogprob,
    ToolCallDelta,
    TopLogprob,
    Usage,
)
from baleen.server.service import TokenCounts


def first_chunk_choice(choice: Choice) -> ChunkChoice:
    """The chunk that opens a choice's stream, before anything is sampled."""
    message = ChoiceMessage(role="assistant", content="")
    return ChunkChoice(index=choice.index, delta=message, logprobs=None, finish_reason=None)


def chunk_choice(delta: ChoiceDelta) -> ChunkChoice:
    """One step of a choice, as a stream sends it."""
    added = delta.message
    message = ChoiceMessage()
    if added.reasoning:
        message.reasoning_content = added.reasoning
    if added.content:
        message.content = added.content
    if added.calls:
        message.tool_calls = [_call_delta(call) for call in added.calls]
    chunk = ChunkChoice(
        index=delta.index,
        delta=message,
        logprobs=_logprobs(delta.logprobs) if delta.logprobs else None,
        finish_reason=added.finish_reason,
    )
    if added.parse_error:
        chunk.parse_error = added.parse_error
    return chunk


def completion_choice(choice: Choice) -> CompletionChoice:
    """A whole choice. Tool calls that broke off are left out."""
    collected = choice.message
    message = ChoiceMessage(role="assistant", content=collected.content)
    if collected.thinking_mode == "thinking":
        message.reasoning_content = collected.reasoning
    calls = [call for call in collected.calls if call.is_complete]
    if calls:
        message.tool_calls = [_whole_call(c.index, c.id, c.name, c.arguments) for c in calls]
    completion = CompletionChoice(
        index=choice.index,
        message=message,
        logprobs=None if choice.logprobs is None else _logprobs(choice.logprobs),
        finish_reason=collected.finish_reason or "length",
    )
    if collected.parse_error:
        completion.parse_error = collected.parse_error
    return completion


def usage(counts: TokenCounts) -> Usage:
    """The counts in OpenAI's fields and in DeepSeek's."""
    return Usage(
        prompt_tokens=counts.prompt,
        completion_tokens=counts.completion,
        total_tokens=counts.prompt + counts.completion,
        prompt_cache_hit_tokens=counts.cached,
        prompt_cache_miss_tokens=counts.prompt - counts.cached,
        prompt_tokens_details=PromptTokensDetails(cached_tokens=counts.cached),
        completion_tokens_details=CompletionTokensDetails(reasoning_tokens=counts.reasoning),
    )


def _whole_call(index: int, identity: str, name: str, arguments: str) -> ToolCallDelta:
    function = FunctionDelta(name=name, arguments=arguments)
    return ToolCallDelta(index=index, id=identity, type="function", function=function)


def _call_delta(call: CallDelta) -> ToolCallDelta:
    if call.name is None:
        return ToolCallDelta(index=call.index, function=FunctionDelta(arguments=call.arguments))
    return _whole_call(call.index, call.id, call.name, call.arguments)


def _logprobs(tokens: list[SampledToken]) -> ChoiceLogprobs:
    return ChoiceLogprobs(
        content=[
            TokenLogprob(
                **_token(token.token, token.logprob),
                top_logprobs=[TopLogprob(**_token(data, logprob)) for data, logprob in token.top],
            )
            for token in tokens
        ]
    )


def _token(data: bytes, logprob: float) -> dict[str, Any]:
    return {"token": data.decode("utf-8", "replace"), "logprob": logprob, "bytes": list(data)}
