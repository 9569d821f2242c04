"""`transformers` as a contender: the same folder, decoded through its `DynamicCache` without `generate` around it."""

import importlib
import inspect
import time
from typing import Any

import torch
from torch import Tensor

from baleen.bench.prompts import prompt

# Its index scores are [queries, heads, context] in float32, all at once: longer prompts go in pieces.
MAX_PAIRS = 1 << 24  # queries x context


class InTransformers:
    """`AutoModelForCausalLM` and a cache that is cut back to what two prompts have in common. Times are in seconds."""

    def __init__(self, folder: str, dtype: str, threads: int):
        self._library: Any = importlib.import_module("transformers")
        torch.set_num_threads(threads)
        torch.set_grad_enabled(False)
        loader = self._library.AutoModelForCausalLM
        self._model = loader.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
        self._vocab_size: int = self._model.config.vocab_size
        # releases before 5.20 or so call it past_key_values
        names = inspect.signature(self._model.forward).parameters
        self._cache_name = "cache" if "cache" in names else "past_key_values"
        self._forget()

    def prefill(self, length: int, seed: int) -> dict[str, Any]:
        """{"seconds"} until the first token of a prompt of which nothing is cached."""
        self._forget()
        start = time.perf_counter()
        self._feed(prompt(self._vocab_size, length, seed)).argmax().item()
        return {"seconds": time.perf_counter() - start}

    def decode(self, context: int, tokens: int, seed: int) -> dict[str, Any]:
        """{"seconds"} for `tokens` tokens after the first one that follows `context` tokens."""
        token = self._feed(prompt(self._vocab_size, context, seed)).argmax().item()
        start = time.perf_counter()
        for _ in range(tokens):
            token = self._step([int(token)]).argmax().item()
        return {"seconds": time.perf_counter() - start}

    def greedy(self, token_ids: list[int], tokens: int) -> dict[str, Any]:
        """{"token_ids", "logprobs"} of the likeliest continuation."""
        logits = self._feed(token_ids)
        chosen: list[int] = []
        logprobs: list[float] = []
        for _ in range(tokens):
            best = logits.float().log_softmax(-1).max(-1)
            chosen.append(int(best.indices))
            logprobs.append(float(best.values))
            logits = self._step(chosen[-1:])
        return {"token_ids": chosen, "logprobs": logprobs}

    def _forget(self) -> None:
        self._cache = self._library.DynamicCache(config=self._model.config)
        self._cached: list[int] = []

    def _feed(self, token_ids: list[int]) -> Tensor:
        """Logits [vocab] after `token_ids`; what the cache holds of them is not computed again."""
        common = 0
        limit = min(len(self._cached), len(token_ids) - 1)
        while common < limit and self._cached[common] == token_ids[common]:
            common += 1
        if common < len(self._cached):
            self._cache.crop(common - len(self._cached))
            del self._cached[common:]
        piece = max(1, MAX_PAIRS // len(token_ids))
        while len(token_ids) - len(self._cached) > piece:
            self._step(token_ids[len(self._cached) :][:piece])
        return self._step(token_ids[len(self._cached) :])

    def _step(self, token_ids: list[int]) -> Tensor:
        """Logits [vocab] after `token_ids` are appended to the cache."""
        cache = {self._cache_name: self._cache}
        output = self._model(torch.tensor([token_ids]), use_cache=True, logits_to_keep=1, **cache)
        self._cached += token_ids
        return output.logits[0, -1]
