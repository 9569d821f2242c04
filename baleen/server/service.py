"""From a validated request to a running generation: prompt, admission, the engine's streams merged."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from baleen.chat import Tokenizer
from baleen.config import UserError
from baleen.config.engine import SamplingParams
from baleen.server.admission import Admission
from baleen.server.choice import Choice, ChoiceDelta, StepOutput
from baleen.server.errors import ApiError
from baleen.server.limits import Limits
from baleen.server.metrics import Metrics
from baleen.server.prompt import Prompt, ThinkingMode, build_prompt, thinking_mode_of
from baleen.server.responses import Usage, make_usage
from baleen.server.sampling import check_support, sampling_params
from baleen.server.schemas import ChatCompletionRequest


class EngineOutput(StepOutput, Protocol):
    """A step's tokens, and with the last ones how many prompt tokens the prefix cache had."""

    @property
    def num_cached_tokens(self) -> int: ...


class ServingEngine(Protocol):
    """What the server needs of an engine: `EngineAdapter` makes one of the real engine."""

    def check_request(self, prompt_ids: list[int], params: SamplingParams) -> None:
        """Raises UserError for a request that can never run."""
        ...

    def stream(self, prompt_ids: list[int], params: SamplingParams) -> AsyncGenerator[EngineOutput, None]:
        """Outputs of one request as they are made. Closing the generator aborts the request."""
        ...

    def is_healthy(self) -> bool:
        """Whether requests can be expected to end."""
        ...


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The model a server answers for: its name, its context in tokens, its mode when a request names none."""

    name: str
    max_model_len: int
    default_mode: ThinkingMode = "thinking"


class ChatService:
    """Everything the endpoints share."""

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

    async def admit(self, request: ChatCompletionRequest) -> "Generation":
        """Check and encode a request and take its places. Raises ApiError. The caller closes the result."""
        mode = thinking_mode_of(request, self.model.name, self.model.default_mode)
        check_support(request, mode)
        count = request.n or 1
        self.admission.enter(count)
        try:
            # Off the event loop: a long text must not hold up the other streams.
            prompt = await asyncio.to_thread(
                build_prompt, request, mode, self.tokenizer, self.model.max_model_len
            )
            return Generation(self, request, prompt)
        except BaseException:
            self.admission.leave(count)
            raise


class Generation:
    """One admitted request. `deltas` runs it; `close` gives its places back and may be called twice."""

    def __init__(self, service: ChatService, request: ChatCompletionRequest, prompt: Prompt) -> None:
        self._service = service
        self._prompt = prompt
        self._params = sampling_params(request, prompt, service.limits, service.model.max_model_len)
        try:  # before the status is sent: a stream could only break off
            service.engine.check_request(prompt.token_ids, self._params[0])
        except UserError as error:
            raise ApiError(400, str(error)) from None
        self._closed = False
        self.choices = [
            Choice(
                index,
                service.tokenizer,
                prompt.thinking_mode,
                offers_tools=prompt.tools_offered,
                stop=request.stop,
                top_logprobs=params.logprobs,
            )
            for index, params in enumerate(self._params)
        ]

    async def deltas(self) -> AsyncGenerator[ChoiceDelta | None, None]:
        """What the answers bring, as it comes, of all choices; None when nothing came for a while.

        Raises ApiError. Closing the generator, or cancelling its task, aborts what is still running.
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
                unfinished -= item.finish_reason is not None
                yield item
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def usage(self) -> Usage:
        """Tokens so far. The prompt counts once, however many choices were asked for."""
        return make_usage(
            len(self._prompt.token_ids),
            self.choices[0].cached_tokens,
            sum(choice.completion_tokens for choice in self.choices),
            sum(choice.reasoning_tokens for choice in self.choices),
        )

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._service.admission.leave(len(self.choices))

    async def _run(
        self, choice: Choice, params: SamplingParams, queue: "asyncio.Queue[ChoiceDelta | Exception]"
    ) -> None:
        """Feed one choice from the engine. What goes wrong is put on the queue as well."""
        metrics = self._service.metrics
        started = previous = time.monotonic()
        try:
            async with aclosing(self._service.engine.stream(self._prompt.token_ids, params)) as outputs:
                async for output in outputs:
                    now = time.monotonic()
                    histogram = metrics.between_tokens if choice.completion_tokens else metrics.first_token
                    histogram.observe(now - previous)
                    previous = now
                    delta = choice.push(output)
                    choice.cached_tokens = output.num_cached_tokens
                    queue.put_nowait(delta)
                    if choice.finish_reason is not None:
                        break
            if choice.finish_reason is None:
                raise ApiError(503, "The engine stopped before the answer was complete.")
            metrics.latency.observe(time.monotonic() - started)
            metrics.finished(choice.finish_reason)
        except UserError as error:
            queue.put_nowait(ApiError(400, str(error)))
        except Exception as error:
            healthy = isinstance(error, ApiError) or self._service.engine.is_healthy()
            queue.put_nowait(
                error if healthy else ApiError(503, "The engine has stopped; restart the server.")
            )
        finally:
            metrics.prompt_tokens.inc(len(self._prompt.token_ids))
            metrics.generation_tokens.inc(choice.completion_tokens)
            metrics.cache_queries.inc(len(self._prompt.token_ids))
            metrics.cache_hits.inc(choice.cached_tokens)
