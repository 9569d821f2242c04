"""Baleen's engine as a contender: what it is asked for goes through the engine's public face, as a server's would."""

import time
from typing import Any

import torch

from baleen.bench.prompts import prompt
from baleen.config import EngineConfig, SamplingParams
from baleen.engine import Engine, StepOutput


class OurEngine:
    """The engine, and how long it takes for what. Times are in seconds.

    config: fields of `EngineConfig`.
    """

    def __init__(self, folder: str, threads: int, config: dict[str, Any]):
        torch.set_num_threads(threads)
        self.engine = Engine.from_pretrained(folder, EngineConfig(**config))
        self.vocab_size = self.engine.model.config.vocab_size

    def kernels(self) -> dict[str, Any]:
        """{"kernels"}: whether the CPU kernels compute, rather than plain PyTorch."""
        return {"kernels": self.engine.compute_path.weight_dtype is not None}

    def prefill(self, length: int, seed: int) -> dict[str, Any]:
        """{"seconds"} until the first token of a prompt of which nothing is cached."""
        self.engine.reset_prefix_cache()
        seconds, _ = self._first_token(prompt(self.vocab_size, length, seed))
        return {"seconds": seconds}

    def decode(self, context: int, tokens: int, seed: int) -> dict[str, Any]:
        """{"seconds"} for `tokens` tokens after the first one that follows `context` tokens.

        Contexts of one seed continue each other, so the prefix cache computes each only once.
        """
        request = self._add(prompt(self.vocab_size, context, seed), tokens + 1)
        self._until_output()
        start = time.perf_counter()
        for _ in range(tokens):
            self.engine.step()
        seconds = time.perf_counter() - start
        done = self.engine.result(request)  # KeyError, were it not finished
        assert len(done.token_ids) == tokens + 1, f"{len(done.token_ids)} tokens, wanted {tokens + 1}"
        return {"seconds": seconds}

    def streams(self, count: int, length: int, tokens: int, seed: int) -> dict[str, Any]:
        """{"seconds"} until `count` different prompts that arrive at once have `tokens` tokens each."""
        self.engine.reset_prefix_cache()
        prompts = [prompt(self.vocab_size, length, seed + number) for number in range(count)]
        start = time.perf_counter()
        self.engine.generate(prompts, _greedy(tokens))
        return {"seconds": time.perf_counter() - start}

    def first_token(self, length: int, seed: int) -> dict[str, Any]:
        """{"cold", "warm"} seconds until the first token of a prompt and of the same again; "cached" tokens then."""
        self.engine.reset_prefix_cache()
        token_ids = prompt(self.vocab_size, length, seed)
        cold, _ = self._first_token(token_ids)
        warm, cached = self._first_token(token_ids)
        return {"cold": cold, "warm": warm, "cached": cached}

    def greedy(self, token_ids: list[int], tokens: int) -> dict[str, Any]:
        """{"token_ids", "logprobs"} of the likeliest continuation."""
        done = self.engine.generate([token_ids], _greedy(tokens))[0]
        return {"token_ids": done.token_ids, "logprobs": done.logprobs}

    def _first_token(self, token_ids: list[int]) -> tuple[float, int]:
        """Seconds until the first token, and how many of the prompt's tokens were cached."""
        start = time.perf_counter()
        request = self._add(token_ids, 1)
        self._until_output()
        return time.perf_counter() - start, self.engine.result(request).num_cached_tokens

    def _add(self, token_ids: list[int], tokens: int) -> str:
        return self.engine.add_request(token_ids, _greedy(tokens))

    def _until_output(self) -> list[StepOutput]:
        while not (outputs := self.engine.step()):
            pass
        return outputs


def _greedy(tokens: int) -> SamplingParams:
    return SamplingParams(max_tokens=tokens, temperature=0, ignore_eos=True)
