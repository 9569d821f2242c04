"""llama.cpp as a contender, through the prebuilt `xllamacpp` wheel: its server inside this process, asked by calls.

The server also listens on a free port of the loopback address; nothing here uses it, and it ends with the process.
"""

import importlib
from typing import Any

from baleen.bench.prompts import prompt


class InLlamaCpp:
    """llama.cpp's server with one slot. Times are in seconds, by its own clock.

    precise: float32 caches and no flash attention, to compare numbers; otherwise its own choice of both, to compare
    speed.
    """

    def __init__(self, file: str, threads: int, max_model_len: int, vocab_size: int, precise: bool):
        library: Any = importlib.import_module("xllamacpp")
        self._vocab_size = vocab_size
        parameters = library.CommonParams()
        parameters.model.path = file
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.n_ctx = max_model_len
        parameters.n_parallel = 1
        parameters.n_gpu_layers = 0
        parameters.cpuparams.n_threads = threads
        parameters.cpuparams_batch.n_threads = threads
        parameters.fit_params = False  # it would shrink what was asked for
        parameters.cache_ram_mib = 0  # one slot keeps its own prompt; no copies beside it
        if precise:
            parameters.cache_type_k = parameters.cache_type_v = library.ggml_type.GGML_TYPE_F32
            parameters.flash_attn_type = library.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self._server = library.Server(parameters)

    def prefill(self, length: int, seed: int) -> dict[str, Any]:
        """{"seconds"} until the first token of a prompt of which nothing is cached."""
        timings = self._complete(prompt(self._vocab_size, length, seed), 1, cache_prompt=False)["timings"]
        assert timings["prompt_n"] == length, f"{timings['prompt_n']} prompt tokens, wanted {length}"
        return {"seconds": timings["prompt_ms"] / 1e3}

    def decode(self, context: int, tokens: int, seed: int) -> dict[str, Any]:
        """{"seconds"} for `tokens` tokens after the first one that follows `context` tokens."""
        timings = self._complete(prompt(self._vocab_size, context, seed), tokens + 1)["timings"]
        # its clock of decoding starts at the first token and counts that one too
        assert timings["predicted_n"] == tokens + 1, f"{timings['predicted_n']} tokens, wanted {tokens + 1}"
        return {"seconds": timings["predicted_ms"] / 1e3}

    def greedy(self, token_ids: list[int], tokens: int) -> dict[str, Any]:
        """{"token_ids", "logprobs"} of the likeliest continuation."""
        done = self._complete(token_ids, tokens, logprobs=1)
        chosen = done["choices"][0]["logprobs"]["content"]
        return {"token_ids": [one["id"] for one in chosen], "logprobs": [one["logprob"] for one in chosen]}

    def _complete(self, token_ids: list[int], tokens: int, **more: Any) -> dict[str, Any]:
        request = {"prompt": token_ids, "max_tokens": tokens, "temperature": 0, "ignore_eos": True}
        done: dict[str, Any] = self._server.handle_completions(request | {"cache_prompt": True} | more)
        if "error" in done:
            raise RuntimeError(str(done["error"]))
        return done
