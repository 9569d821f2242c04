"""What a request asks of the sampler, in the engine's terms; what DeepSeek's API does differently by mode."""

from typing import Any

from baleen.config.engine import SamplingParams
from baleen.server.errors import ApiError
from baleen.server.limits import Limits
from baleen.server.prompt import Prompt, ThinkingMode
from baleen.server.schemas import ChatCompletionRequest


def check_support(request: ChatCompletionRequest, mode: ThinkingMode) -> None:
    """Refuse what would silently not happen. Raises ApiError (400)."""
    if request.stream_options is not None and not request.stream:
        raise ApiError(400, "stream_options is only allowed with `stream: true`.", "stream_options")
    if mode == "thinking":
        for name in ("logprobs", "top_logprobs"):  # as the hosted API
            if getattr(request, name):
                raise ApiError(400, f"{name} is not available in thinking mode; leave it out.", name)
    if request.top_logprobs and not request.logprobs:
        raise ApiError(400, "top_logprobs is only allowed with `logprobs: true`.", "top_logprobs")


def sampling_params(
    request: ChatCompletionRequest, prompt: Prompt, limits: Limits, max_model_len: int
) -> list[SamplingParams]:
    """One set of parameters per choice; with a seed, choice i draws with seed + i.

    Thinking ignores presence_penalty and frequency_penalty, as the hosted API does; the fields that API does
    not have work in both modes.
    """
    thinks = prompt.thinking_mode == "thinking"
    default = limits.thinking_max_tokens if thinks else limits.chat_max_tokens
    values: dict[str, Any] = {
        "max_tokens": min(request.max_tokens or default, max_model_len - len(prompt.token_ids)),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "min_p": request.min_p,
        "top_k": None if request.top_k is None else max(request.top_k, 0),  # vLLM's -1 keeps all too
        "presence_penalty": None if thinks else request.presence_penalty,
        "frequency_penalty": None if thinks else request.frequency_penalty,
        "repetition_penalty": request.repetition_penalty,
        "logit_bias": request.logit_bias,
        "cache_salt": request.cache_salt,
        "logprobs": request.top_logprobs or 0 if request.logprobs else None,
    }
    given = {name: value for name, value in values.items() if value is not None}
    seeds = [None if request.seed is None else (request.seed + i) % 2**63 for i in range(request.n or 1)]
    return [SamplingParams(**given, record_sampling_mask=False, seed=seed) for seed in seeds]
