"""Server-sent events: the framing that every dialect shares."""

from collections.abc import AsyncIterator, Callable

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

KEEP_ALIVE = ": keep-alive\n\n"  # a comment, which clients ignore


def event(data: str) -> str:
    """One event. `data` must be on one line, as JSON is."""
    return f"data: {data}\n\n"


class EventStream(StreamingResponse):
    """A stream of events that calls `on_close` however it ends: sent completely, failed, or the client gone."""

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
