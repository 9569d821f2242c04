"""`POST /chat/completions`, streamed and whole. A whole answer is the sum of its stream."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing

from fastapi import APIRouter, Request
from starlette.responses import Response

from baleen import __version__
from baleen.server.errors import INTERNAL_ERROR, ApiError, logger
from baleen.server.json_body import CheckedJsonRoute
from baleen.server.openai import rendering
from baleen.server.openai.conversion import to_generation_request
from baleen.server.openai.errors import error_body
from baleen.server.openai.responses import (
    ChatCompletion,
    ChatCompletionChunk,
    ChunkChoice,
    CompletionChoice,
    ErrorBody,
    Usage,
)
from baleen.server.openai.schemas import ChatCompletionRequest
from baleen.server.service import ChatService, Generation
from baleen.server.sse import KEEP_ALIVE, EventStream, event

_FINGERPRINT = f"fp_baleen_{__version__}"
_CLIENT_GONE = 499  # nobody reads it, but the logs of proxies know the number
_DONE = event("[DONE]")


def chat_router(service: ChatService) -> APIRouter:
    """The endpoint under DeepSeek's path and OpenAI's."""
    router = APIRouter(route_class=CheckedJsonRoute)

    async def create(request: ChatCompletionRequest, http: Request) -> Response:
        generation = await service.admit(to_generation_request(request, service.model, service.limits))
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
    """What all chunks of one response share."""

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
        return event(made.model_dump_json(exclude_unset=True))

    try:
        for choice in generation.choices:
            yield chunk([rendering.first_chunk_choice(choice)])
        async with aclosing(generation.deltas()) as deltas:
            async for delta in deltas:
                if delta is None:
                    yield KEEP_ALIVE
                elif not delta.is_empty:
                    yield chunk([rendering.chunk_choice(delta)])
        if wants_usage:
            yield chunk([], rendering.usage(generation.usage))
        yield _DONE
    except ApiError as error:
        on_failure(error.status_code)
        yield event(json.dumps(error_body(error.status_code, error.detail, error.param)))
    except Exception:
        # The status line was sent long ago: the client gets an error event, and the log has the cause.
        logger.exception("a stream failed")
        on_failure(500)
        yield event(json.dumps(error_body(500, INTERNAL_ERROR)))


async def _whole(head: _Head, generation: Generation) -> Response:
    async with aclosing(generation.deltas()) as deltas:
        async for _ in deltas:
            pass
    choices = [rendering.completion_choice(choice) for choice in generation.choices]
    completion = head.completion(choices, rendering.usage(generation.usage))
    return Response(completion.model_dump_json(exclude_unset=True), media_type="application/json")


async def _unless_gone(http: Request, answer: Awaitable[Response]) -> Response:
    """The response. It is canceled as soon as the client closes the connection."""
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
