"""The engine behind coroutines: whoever is ready adds a request, one task steps for all of them."""

import asyncio
from collections.abc import AsyncIterator

from baleen.config.engine import SamplingParams
from baleen.engine.engine import Engine
from baleen.engine.sequence import GenerationResult, StepOutput


class AsyncEngine:
    """Batches concurrent requests. A cancelled request is aborted before the next step.

    in_thread: step in a worker thread, so that a server's event loop stays responsive; without it the steps run in
    the loop itself, which is cheaper and repeats exactly.
    """

    def __init__(self, engine: Engine, in_thread: bool = False):
        self.engine = engine
        self.failure: BaseException | None = None
        self._in_thread = in_thread
        self._queues: dict[str, asyncio.Queue[StepOutput | BaseException]] = {}
        self._arrivals: list[tuple[list[int], SamplingParams, asyncio.Future[str]]] = []
        self._cancelled: list[str] = []
        self._driver: asyncio.Task[None] | None = None

    async def stream(self, prompt_ids: list[int], params: SamplingParams) -> AsyncIterator[StepOutput]:
        """Outputs of each step as they come. Raises UserError when the request can never run."""
        request_id = await self._submit(prompt_ids, params)
        try:
            async for output in self._outputs(request_id):
                yield output
        finally:
            self._leave(request_id)

    async def generate(self, prompt_ids: list[int], params: SamplingParams) -> GenerationResult:
        """Run one prompt to its end. Raises UserError when it can never run."""
        request_id = await self._submit(prompt_ids, params)
        try:
            async for _ in self._outputs(request_id):
                pass
            return self.engine.result(request_id)
        finally:
            self._leave(request_id)

    async def _submit(self, prompt_ids: list[int], params: SamplingParams) -> str:
        if self.failure is not None:
            raise RuntimeError("the engine has stopped after an error") from self.failure
        accepted: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._arrivals.append((prompt_ids, params, accepted))
        if self._driver is None or self._driver.done():
            self._driver = asyncio.create_task(self._drive())
        return await accepted

    async def _outputs(self, request_id: str) -> AsyncIterator[StepOutput]:
        queue = self._queues[request_id]
        while True:
            output = await queue.get()
            if isinstance(output, BaseException):
                raise RuntimeError("the engine has stopped after an error") from output
            yield output
            if output.finish_reason:
                return

    def _leave(self, request_id: str) -> None:
        """Called once by every reader: an unfinished request is cancelled, a finished one forgotten."""
        self._queues.pop(request_id, None)
        self._cancelled.append(request_id)

    async def _drive(self) -> None:
        try:
            await asyncio.sleep(0)  # let every coroutine that is ready add its request first
            while self._admit() or self.engine.has_unfinished():
                if self._in_thread:
                    outputs = await asyncio.to_thread(self.engine.step)
                else:
                    outputs = self.engine.step()
                for output in outputs:
                    if output.request_id in self._queues:
                        self._queues[output.request_id].put_nowait(output)
                await asyncio.sleep(0)
                await asyncio.sleep(0)  # a finished turn may be followed at once by the next request of its rollout
        except BaseException as error:
            self.failure = error
            for queue in self._queues.values():
                queue.put_nowait(error)
            raise

    def _admit(self) -> bool:
        """Abort what was cancelled and add what arrived. Runs between steps only."""
        for request_id in self._cancelled:
            self.engine.abort(request_id)
            self.engine.discard(request_id)
        self._cancelled.clear()
        arrivals, self._arrivals = self._arrivals, []
        for prompt_ids, params, accepted in arrivals:
            if accepted.cancelled():
                continue
            try:
                request_id = self.engine.add_request(prompt_ids, params)
                self._queues[request_id] = asyncio.Queue()
                accepted.set_result(request_id)
            except ValueError as error:
                accepted.set_exception(error)
        return bool(arrivals)
