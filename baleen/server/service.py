"""From a request to a running generation: prompt, admission, and the streams of its choices merged into one."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from baleen.chat import Tokenizer
from baleen.config import UserError
from baleen.config.engine import SamplingParams
from baleen.server.admission import Admission
from baleen.server.choice import Choice, ChoiceDelta
from baleen.server.engine_adapter import ServingEngine
from baleen.server.errors import ApiError
from baleen.server.limits import Limits
from baleen.server.metrics import Metrics
from baleen.server.prompt import build_prompt
from baleen.server.request import GenerationRequest
from baleen.server.served_model import ServedModel


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Tokens of a request. The prompt counts once, however many choices were asked for.

    Attributes:
        prompt: Tokens of the prompt.
        cached: Those among them that were found in the prefix cache.
        completion: Tokens sampled for all choices, the end tokens included.
        reasoning: Those among them that came before `</think>`.
    """

    prompt: int
    cached: int
    completion: int
    reasoning: int


class ChatService:
    """Answers `GenerationRequest`s with one engine. All endpoints share it."""

    def __init__(
        self,
        engine: ServingEngine,
        tokenizer: Tokenizer,
        model: ServedModel,
        limits: Limits,
        metrics: Metrics,
    ) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self.model = model
        self.limits = limits
        self.metrics = metrics
        self.admission = Admission(limits)

    async def admit(self, request: GenerationRequest) -> "Generation":
        """Reserve a place for each choice and encode the prompt.

        Returns:
            A generation that has not started yet. The caller must close it.

        Raises:
            ApiError: The server is full, or the request can never run.
        """
        self.admission.enter(request.n)
        try:
            # In a thread, because encoding a long text would hold up the other streams.
            prompt_ids = await asyncio.to_thread(
                build_prompt, request, self.tokenizer, self.model.max_model_len
            )
            return Generation(self, request, prompt_ids)
        except BaseException:
            self.admission.leave(request.n)
            raise


class Generation:
    """One admitted request. `deltas` runs it, `close` gives its places back.

    Attributes:
        choices: The answers, filled in while `deltas` runs.
    """

    def __init__(self, service: ChatService, request: GenerationRequest, prompt_ids: list[int]) -> None:
        """Raises ApiError (400) if the engine can never run the request."""
        self._service = service
        self._prompt_ids = prompt_ids
        room = service.model.max_model_len - len(prompt_ids)
        self._params = _params_per_choice(request, room)
        try:  # before the status line is sent, since a stream could only break off
            service.engine.check_request(prompt_ids, self._params[0])
        except UserError as error:
            raise ApiError(400, str(error)) from None
        self._closed = False
        self.choices = [Choice(index, service.tokenizer, request) for index in range(request.n)]

    async def deltas(self) -> AsyncGenerator[ChoiceDelta | None, None]:
        """Run the request, and yield what is added to any choice as it comes.

        Closing the generator, or cancelling its task, aborts the choices that are still running.

        Yields:
            A delta, or None when nothing has come for a while.

        Raises:
            ApiError: The request failed or took too long.
        """
        queue: asyncio.Queue[ChoiceDelta | Exception] = asyncio.Queue()
        limits = self._service.limits
        deadline = time.monotonic() + limits.request_seconds
        tasks = [
            asyncio.create_task(self._run(choice, params, queue))
            for choice, params in zip(self.choices, self._params, strict=True)
        ]
        try:
            unfinished = len(tasks)
            while unfinished:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ApiError(
                        503, f"The answer took longer than {limits.request_seconds:g} s and was stopped."
                    )
                try:
                    item = await asyncio.wait_for(queue.get(), min(left, limits.keep_alive_seconds))
                except TimeoutError:
                    yield None
                    continue
                if isinstance(item, Exception):
                    raise item
                unfinished -= item.message.finish_reason is not None
                yield item
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def usage(self) -> TokenCounts:
        """Tokens so far."""
        return TokenCounts(
            prompt=len(self._prompt_ids),
            cached=self.choices[0].cached_tokens,
            completion=sum(choice.message.completion_tokens for choice in self.choices),
            reasoning=sum(choice.message.reasoning_tokens for choice in self.choices),
        )

    def close(self) -> None:
        """Give the places back. May be called again without effect."""
        if not self._closed:
            self._closed = True
            self._service.admission.leave(len(self.choices))

    async def _run(
        self, choice: Choice, params: SamplingParams, queue: "asyncio.Queue[ChoiceDelta | Exception]"
    ) -> None:
        """Run one choice and put its deltas on the queue. An exception that ends it goes there too."""
        metrics = self._service.metrics
        message = choice.message
        started = previous = time.monotonic()
        try:
            async with aclosing(self._service.engine.stream(self._prompt_ids, params)) as outputs:
                async for output in outputs:
                    now = time.monotonic()
                    histogram = metrics.between_tokens if message.completion_tokens else metrics.first_token
                    histogram.observe(now - previous)
                    previous = now
                    queue.put_nowait(choice.push(output))
                    if message.finish_reason is not None:
                        break
            if message.finish_reason is None:
                raise ApiError(503, "The engine stopped before the answer was complete.")
            metrics.latency.observe(time.monotonic() - started)
            metrics.finished(message.finish_reason)
        except UserError as error:
            queue.put_nowait(ApiError(400, str(error)))
        except Exception as error:
            healthy = isinstance(error, ApiError) or self._service.engine.is_healthy()
            queue.put_nowait(
                error if healthy else ApiError(503, "The engine has stopped; restart the server.")
            )
        finally:
            metrics.prompt_tokens.inc(len(self._prompt_ids))
            metrics.generation_tokens.inc(message.completion_tokens)
            metrics.cache_queries.inc(len(self._prompt_ids))
            metrics.cache_hits.inc(choice.cached_tokens)


def _params_per_choice(request: GenerationRequest, room: int) -> list[SamplingParams]:
    """The sampling parameters of each choice. room: tokens of the context that the prompt leaves free."""
    base = request.sampling.model_copy(
        update={"max_tokens": min(request.sampling.max_tokens, room), "record_sampling_mask": False}
    )
    if base.seed is None:
        return [base] * request.n
    return [base.model_copy(update={"seed": (base.seed + i) % 2**63}) for i in range(request.n)]
