"""A thread for what would block the event loop: tools that run programs, models that are asked over the network."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

Result = TypeVar("Result")


class Worker:
    """One thread that makes the calls of one episode in their order.

    Always the same thread: an SQLite connection belongs to the thread that opened it, and a child that asked the
    kernel to end with its parent ends with the thread that started it.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = SimpleQueue()
        # A daemon: a call that nobody waits for any more must not hold up the end of the program.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    async def run(self, function: Callable[..., Result], *args: Any) -> Result:
        """The result of `function(*args)`. When cancelled, the call still runs to its end and nobody hears of it."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._jobs.put((lambda: function(*args), future))
        return await future

    def close(self) -> None:
        """Let the thread end after the calls that it has."""
        self._jobs.put(None)

    def _work(self) -> None:
        while job := self._jobs.get():
            call, future = job
            try:
                settle, outcome = _give, call()
            except BaseException as error:
                settle, outcome = _fail, error
            with suppress(RuntimeError):  # the loop is closed: nobody waits
                future.get_loop().call_soon_threadsafe(settle, future, outcome)


def _give(future: asyncio.Future[Any], result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
