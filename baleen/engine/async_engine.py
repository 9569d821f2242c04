"""The engine behind coroutines: whoever is ready adds a request, one task steps for all of them."""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor

from baleen.config.engine import SamplingParams
from baleen.engine.engine import Engine
from baleen.engine.sequence import GenerationResult, StepOutput

# A rollout that a step has finished may need a few turns of the loop until it asks for its next completion.
QUIET_TURNS = 3


class AsyncEngine:
    """Batches concurrent requests, admitted between steps in the order of submission; a cancelled one is
    aborted.

    in_thread: step in a worker thread, so that a server's event loop stays responsive. Without it the steps
    run in the loop itself: the same requests then always share the same steps, and training can repeat.
    failure: the error that stopped the engine for good, if one did.
    """

    def __init__(self, engine: Engine, in_thread: bool = False):
        self.engine = engine
        self.failure: Exception | None = None
        self._worker = ThreadPoolExecutor(1, "engine") if in_thread else None
        self._streams: dict[str, asyncio.Queue[StepOutput | None]] = {}
        self._results: dict[str, asyncio.Future[GenerationResult | None]] = {}
        self._arrivals: list[tuple[list[int], SamplingParams, str]] = []
        self._cancelled: list[str] = []
        self._driver: asyncio.Task[None] | None = None

    async def generate(self, prompt_ids: list[int], params: SamplingParams) -> GenerationResult:
        """Run one prompt to its end.

        Raises UserError when the request can never run, RuntimeError when the engine failed.
        """
        request_id = self._submit(prompt_ids, params)
        future = self._results[request_id] = asyncio.get_running_loop().create_future()
        try:
            result = await future
        finally:
            del self._results[request_id]
            self._leave(request_id)
        if result is None:
            raise self._stopped()
        return result

    async def stream(self, prompt_ids: list[int], params: SamplingParams) -> AsyncGenerator[StepOutput, None]:
        """Outputs as they come; leaving early (`aclose`) aborts.

        While the last output is looked at, `engine.result` has the record of the request. Raises UserError
        when it can never run, RuntimeError when the engine failed.
        """
        request_id = self._submit(prompt_ids, params)
        queue = self._streams[request_id] = asyncio.Queue()
        try:
            while output := await queue.get():
                yield output
                if output.finish_reason:
                    return
        finally:
            del self._streams[request_id]
            self._leave(request_id)
        raise self._stopped()

    def _submit(self, prompt_ids: list[int], params: SamplingParams) -> str:
        if self.failure is not None:
            raise self._stopped()
        self.engine.check_request(prompt_ids, params)
        request_id = self.engine.new_request_id()
        self._arrivals.append((prompt_ids, params, request_id))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.get_running_loop().create_task(self._drive())
        return request_id

    def _stopped(self) -> RuntimeError:
        error = RuntimeError(f"the engine has stopped: {self.failure}")
        error.__cause__ = self.failure
        return error

    def _leave(self, request_id: str) -> None:
        """Every reader says goodbye: its result is not kept, and the request is aborted if it still runs."""
        self._cancelled.append(request_id)
        if self.failure is None and (self._driver is None or self._driver.done()):
            self._admit()

    async def _drive(self) -> None:
        try:
            await self._settle()
            while self._admit() or self.engine.has_unfinished():
                self._deliver(await self._step())
                await self._settle()
        except asyncio.CancelledError:  # the loop closes
            self._admit()
            raise
        except Exception as error:
            self.failure = error
            for queue in self._streams.values():
                queue.put_nowait(None)
            for future in self._results.values():
                if not future.done():
                    future.set_result(None)

    async def _step(self) -> list[StepOutput]:
        if self._worker is None:
            return self.engine.step()
        step = asyncio.get_running_loop().run_in_executor(self._worker, self.engine.step)
        try:
            return await asyncio.shield(step)
        except asyncio.CancelledError:
            await asyncio.wait(
                [step]
            )  # a step cannot be interrupted, and nobody else may use the engine meanwhile
            raise

    async def _settle(self) -> None:
        """Let every coroutine that is ready add its request, or leave, before the next step."""
        quiet = 0
        while quiet < QUIET_TURNS:
            before = len(self._arrivals), len(self._cancelled)
            await asyncio.sleep(0)
            quiet = quiet + 1 if before == (len(self._arrivals), len(self._cancelled)) else 0

    def _admit(self) -> bool:
        """Add what arrived and abort what was cancelled; between steps only. True if something arrived."""
        arrivals, self._arrivals = self._arrivals, []
        for prompt_ids, params, request_id in arrivals:
            self.engine.add_request(prompt_ids, params, request_id)
        cancelled, self._cancelled = self._cancelled, []
        for request_id in cancelled:
            self.engine.abort(request_id)
            self.engine.discard(request_id)
        return bool(arrivals)

    def _deliver(self, outputs: list[StepOutput]) -> None:
        for output in outputs:
            if output.request_id in self._streams:
                self._streams[output.request_id].put_nowait(output)
            elif output.finish_reason and output.request_id in self._results:
                future = self._results[output.request_id]
                if not future.done():  # it may have been cancelled a moment ago
                    future.set_result(self.engine.result(output.request_id))
