"""The engine as the server sees it: one stream of outputs per request, and whether the engine is healthy."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from baleen.config.engine import SamplingParams

if TYPE_CHECKING:
    from baleen.engine import AsyncEngine

HANG_SECONDS = 60.0  # a step takes far less, even on a slow machine


@dataclass(frozen=True, slots=True)
class EngineOutput:
    """What one engine step produced for one request.

    Attributes:
        new_token_ids: The sampled tokens.
        new_top_logprobs: For each token, log-probabilities by token id: the likeliest tokens in order, then the
            token's own. Empty if the request did not ask for them.
        finish_reason: With the last output, why the completion ended: "stop", "length" or "abort".
        num_cached_tokens: With the last output, how many prompt tokens were found in the prefix cache.
    """

    new_token_ids: list[int]
    new_top_logprobs: list[dict[int, float]]
    finish_reason: str | None
    num_cached_tokens: int = 0


class ServingEngine(Protocol):
    """What the server needs of an engine. `EngineAdapter` provides it for the real one."""

    def check_request(self, prompt_ids: list[int], params: SamplingParams) -> None:
        """Raises UserError for a request that can never run."""
        ...

    def stream(self, prompt_ids: list[int], params: SamplingParams) -> AsyncGenerator[EngineOutput, None]:
        """The outputs of one request as they are produced. Closing the generator aborts the request."""
        ...

    def is_healthy(self) -> bool:
        """Whether requests can be expected to finish."""
        ...


class EngineAdapter:
    """A `ServingEngine` on top of an `AsyncEngine`."""

    def __init__(self, engine: "AsyncEngine", hang_seconds: float = HANG_SECONDS) -> None:
        """Adapt `engine`, which counts as hung when it has requests but no output for `hang_seconds`."""
        self._engine = engine
        self._hang_seconds = hang_seconds
        self._active = 0
        self._last_progress = 0.0

    def check_request(self, prompt_ids: list[int], params: SamplingParams) -> None:
        """Raises UserError for a request that can never run."""
        self._engine.engine.check_request(prompt_ids, params)

    async def stream(
        self, prompt_ids: list[int], params: SamplingParams
    ) -> AsyncGenerator[EngineOutput, None]:
        """The outputs of one request; closing the generator aborts it. Raises UserError, RuntimeError."""
        if self._active == 0:
            self._last_progress = time.monotonic()
        self._active += 1
        try:
            async with aclosing(self._engine.stream(prompt_ids, params)) as outputs:
                async for output in outputs:
                    self._last_progress = time.monotonic()
                    cached = 0
                    if output.finish_reason is not None:
                        cached = self._engine.engine.result(output.request_id).num_cached_tokens
                    yield EngineOutput(
                        output.new_token_ids, output.new_top_logprobs, output.finish_reason, cached
                    )
        finally:
            self._active -= 1

    def is_healthy(self) -> bool:
        """False once the engine has failed, and while it has requests but has been silent for too long."""
        if self._engine.failure is not None:
            return False
        return self._active == 0 or time.monotonic() - self._last_progress < self._hang_seconds
