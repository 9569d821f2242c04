"""The engine as the server sees it: outputs that carry what the prefix cache saved, and a truthful health."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from baleen.config.engine import SamplingParams

if TYPE_CHECKING:
    from baleen.engine import AsyncEngine

HANG_SECONDS = 60.0  # a step on a slow machine is far below this


@dataclass(frozen=True, slots=True)
class ServedOutput:
    """`num_cached_tokens`, of the prompt, is known with the last output only."""

    new_token_ids: list[int]
    new_top_logprobs: list[dict[int, float]]
    finish_reason: str | None
    num_cached_tokens: int = 0


class EngineAdapter:
    """Makes a `ServingEngine` of an AsyncEngine."""

    def __init__(self, engine: "AsyncEngine", hang_seconds: float = HANG_SECONDS) -> None:
        self._engine = engine
        self._hang_seconds = hang_seconds
        self._active = 0
        self._last_progress = 0.0

    def check_request(self, prompt_ids: list[int], params: SamplingParams) -> None:
        """Raises UserError for a request that can never run."""
        self._engine.engine.check_request(prompt_ids, params)

    async def stream(
        self, prompt_ids: list[int], params: SamplingParams
    ) -> AsyncGenerator[ServedOutput, None]:
        """Outputs of one request; closing the generator aborts it. Raises UserError, RuntimeError."""
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
                    yield ServedOutput(
                        output.new_token_ids, output.new_top_logprobs, output.finish_reason, cached
                    )
        finally:
            self._active -= 1

    def is_healthy(self) -> bool:
        """False once the engine failed, and while it has requests but made no token for too long."""
        if self._engine.failure is not None:
            return False
        return self._active == 0 or time.monotonic() - self._last_progress < self._hang_seconds
