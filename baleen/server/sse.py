"""Server-sent events: one JSON value an event, comments while nothing happens, `[DONE]` at the end."""

from collections.abc import AsyncIterator, Callable

from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

KEEP_ALIVE = ": keep-alive\n\n"
DONE = "data: [DONE]\n\n"


def event(data: str) -> str:
    """One event. `data` is JSON, which holds no line break."""
    return f"data: {data}\n\n"


def model_event(model: BaseModel) -> str:
    return event(model.model_dump_json(exclude_unset=True))


class EventStream(StreamingResponse):
    """A stream of events that calls `on_close` however it ends: sent whole, failed, or the client gone."""

    def __init__(self, events: AsyncIterator[str], on_close: Callable[[], None]) -> None:
        super().__init__(
            events,
            media_type="text/event-stream",
            # A buffering proxy would turn the stream into one answer at the end.
            headers={"cache-control": "no-cache", "x-accel-buffering": "no"},
        )
        self._on_close = on_close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_close()
