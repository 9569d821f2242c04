"""`POST /chat/completions`, streamed and whole. The whole answer is the sum of the stream."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from fastapi import APIRouter, Request
from starlette.responses import Response

from baleen import __version__
from baleen.server.choice import CallDelta, Choice, ChoiceDelta
from baleen.server.errors import ApiError, error_body, logger
from baleen.server.json_body import CheckedJsonRoute
from baleen.server.responses import (
    ChatCompletion,
    ChatCompletionChunk,
    ChoiceLogprobs,
    ChoiceMessage,
    ChunkChoice,
    CompletionChoice,
    ErrorBody,
    FunctionDelta,
    ToolCallDelta,
    Usage,
)
from baleen.server.schemas import ChatCompletionRequest
from baleen.server.service import ChatService, Generation
from baleen.server.sse import DONE, KEEP_ALIVE, EventStream, event, model_event

_FINGERPRINT = f"fp_baleen_{__version__}"
_CLIENT_GONE = 499  # nobody reads it; proxies' logs know the number


def chat_router(service: ChatService) -> APIRouter:
    """The endpoint under DeepSeek's path and OpenAI's."""
    router = APIRouter(route_class=CheckedJsonRoute)

    async def create(request: ChatCompletionRequest, http: Request) -> Response:
        generation = await service.admit(request)
        head = _Head(request.model)
        if request.stream:
            wants_usage = request.stream_options is not None and request.stream_options.include_usage
            events = _events(head, generation, wants_usage, service.metrics.failed)
            return EventStream(events, generation.close)
        try:
            return await _unless_gone(http, _whole(head, generation))
        finally:
            generation.close()

    for path in ("/v1/chat/completions", "/chat/completions"):
        router.add_api_route(
            path,
            create,
            methods=["POST"],
            response_model=ChatCompletion,
            responses={code: {"model": ErrorBody} for code in (400, 401, 413, 422, 429, 500, 503)},
            summary="Chat completion",
            include_in_schema=path.startswith("/v1"),
        )
    return router


class _Head:
    """What all chunks of one answer share."""

    def __init__(self, model: str) -> None:
        self.id = f"chatcmpl-{uuid.uuid4().hex}"
        self.created = int(time.time())
        self.model = model

    def chunk(self, choices: list[ChunkChoice]) -> ChatCompletionChunk:
        return ChatCompletionChunk(
            id=self.id,
            object="chat.completion.chunk",
            created=self.created,
            model=self.model,
            system_fingerprint=_FINGERPRINT,
            choices=choices,
        )

    def completion(self, choices: list[CompletionChoice], usage: Usage) -> ChatCompletion:
        return ChatCompletion(
            id=self.id,
            object="chat.completion",
            created=self.created,
            model=self.model,
            system_fingerprint=_FINGERPRINT,
            choices=choices,
            usage=usage,
        )


async def _events(
    head: _Head, generation: Generation, wants_usage: bool, on_failure: Callable[[int], None]
) -> AsyncIterator[str]:
    def chunk(choices: list[ChunkChoice], usage: Usage | None = None) -> str:
        made = head.chunk(choices)
        if wants_usage:
            made.usage = usage
        return model_event(made)

    try:
        for choice in generation.choices:
            start = ChoiceMessage(role="assistant", content="")
            yield chunk([ChunkChoice(index=choice.index, delta=start, logprobs=None, finish_reason=None)])
        async with aclosing(generation.deltas()) as deltas:
            async for delta in deltas:
                if delta is None:
                    yield KEEP_ALIVE
                elif not delta.is_empty:
                    yield chunk([_chunk_choice(delta)])
        if wants_usage:
            yield chunk([], generation.usage)
        yield DONE
    except ApiError as error:
        on_failure(error.status_code)
        yield event(json.dumps(error.body))
    except Exception:
        # The status line is long gone; the client gets an error event and the log the cause.
        logger.exception("a stream failed")
        on_failure(500)
        yield event(json.dumps(error_body(500, "Internal server error; the server's log has the details.")))


async def _whole(head: _Head, generation: Generation) -> Response:
    async with aclosing(generation.deltas()) as deltas:
        async for _ in deltas:
            pass
    completion = head.completion([_completion_choice(c) for c in generation.choices], generation.usage)
    return Response(completion.model_dump_json(exclude_unset=True), media_type="application/json")


async def _unless_gone(http: Request, answer: Awaitable[Response]) -> Response:
    """The answer, or its cancellation as soon as the client has closed the connection."""
    work = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_disconnected(http))
    try:
        await asyncio.wait((work, gone), return_when=asyncio.FIRST_COMPLETED)
        return await work if work.done() else Response(status_code=_CLIENT_GONE)
    finally:
        for task in (work, gone):
            task.cancel()
        await asyncio.gather(work, gone, return_exceptions=True)


async def _disconnected(http: Request) -> None:
    while (await http.receive())["type"] != "http.disconnect":
        pass


def _chunk_choice(delta: ChoiceDelta) -> ChunkChoice:
    message = ChoiceMessage()
    if delta.reasoning:
        message.reasoning_content = delta.reasoning
    if delta.content:
        message.content = delta.content
    if delta.calls:
        message.tool_calls = [_call_delta(call) for call in delta.calls]
    chunk = ChunkChoice(
        index=delta.index,
        delta=message,
        logprobs=ChoiceLogprobs(content=delta.logprobs) if delta.logprobs else None,
        finish_reason=delta.finish_reason,
    )
    if delta.parse_error:
        chunk.parse_error = delta.parse_error
    return chunk


def _completion_choice(choice: Choice) -> CompletionChoice:
    message = ChoiceMessage(role="assistant", content=choice.content)
    if choice.thinking_mode == "thinking":
        message.reasoning_content = choice.reasoning
    calls = [call for call in choice.calls if call.is_complete]
    if calls:
        message.tool_calls = [
            ToolCallDelta(
                index=call.index,
                id=call.id,
                type="function",
                function=FunctionDelta(name=call.name, arguments=call.arguments),
            )
            for call in calls
        ]
    completion = CompletionChoice(
        index=choice.index,
        message=message,
        logprobs=ChoiceLogprobs(content=choice.logprobs) if choice.top_logprobs is not None else None,
        finish_reason=choice.finish_reason or "length",
    )
    if choice.parse_error:
        completion.parse_error = choice.parse_error
    return completion


def _call_delta(call: CallDelta) -> ToolCallDelta:
    if call.name is None:
        return ToolCallDelta(index=call.index, function=FunctionDelta(arguments=call.arguments))
    function = FunctionDelta(name=call.name, arguments=call.arguments)
    return ToolCallDelta(index=call.index, id=call.id, type="function", function=function)
