"""A stand-in for the engine that answers from a script: for tests, and for trying clients and the page
without a model. It shares the engine's face and timing, not its mathematics."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from baleen.chat import Tokenizer
from baleen.chat.preamble import split_controls
from baleen.config.engine import SamplingParams
from baleen.server.engine_adapter import EngineOutput


class ScriptedEngine:
    """Answers the k-th request with the k-th completion text (the last one from then on).

    completions: what a model would write after the prompt, control tokens spelled out, for example
        "reasoning</think>answer<｜end▁of▁sentence｜>". Without the final token it ends with "length".
    tokens_per_step, seconds_per_step: how many tokens come at once, and how long each step takes.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        completions: Sequence[str],
        tokens_per_step: int = 1,
        seconds_per_step: float = 0.0,
    ) -> None:
        self._completions = [tokenizer.encode_pieces(split_controls(text)) for text in completions]
        self._eos_token_id = tokenizer.eos_token_id
        self._tokens_per_step = tokens_per_step
        self._seconds_per_step = seconds_per_step
        self.prompts: list[list[int]] = []  # of all requests so far, for tests to look at
        self.params: list[SamplingParams] = []
        self.running = 0
        self.aborted = 0
        self.healthy = True

    def is_healthy(self) -> bool:
        return self.healthy

    def check_request(self, prompt_ids: list[int], params: SamplingParams) -> None:
        """Any request can run."""

    async def stream(
        self, prompt_ids: list[int], params: SamplingParams
    ) -> AsyncGenerator[EngineOutput, None]:
        script = self._completions[min(len(self.prompts), len(self._completions) - 1)]
        self.prompts.append(list(prompt_ids))
        self.params.append(params)
        token_ids = script[: params.max_tokens]
        ends = "stop" if token_ids and token_ids[-1] == self._eos_token_id else "length"
        self.running += 1
        finished = False
        try:
            for start in range(0, len(token_ids), self._tokens_per_step):
                await asyncio.sleep(self._seconds_per_step)
                step = token_ids[start : start + self._tokens_per_step]
                finished = start + len(step) == len(token_ids)
                known = [] if params.logprobs is None else [_likeliest(i, params.logprobs) for i in step]
                yield EngineOutput(step, known, ends if finished else None, len(prompt_ids) // 2)
        finally:
            self.running -= 1
            self.aborted += not finished


def _likeliest(token_id: int, count: int) -> dict[int, float]:
    """The token at -0.5, the ids after it each a nat below the one before."""
    return {token_id + rank: -0.5 - rank for rank in range(max(count, 1))}
