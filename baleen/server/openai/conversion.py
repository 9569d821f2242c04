"""From OpenAI's request to the neutral one, with what DeepSeek's API does differently in each thinking mode."""

from typing import Any

from baleen.chat import ThinkingMode
from baleen.config.engine import SamplingParams
from baleen.server.errors import ApiError
from baleen.server.limits import Limits
from baleen.server.openai.schemas import ChatCompletionRequest
from baleen.server.request import GenerationRequest
from baleen.server.served_model import ServedModel


def to_generation_request(
    request: ChatCompletionRequest, model: ServedModel, limits: Limits
) -> GenerationRequest:
    """Raises ApiError (400) for an unknown model and for fields that exclude each other."""
    mode = model.mode_of(request.model)
    if request.thinking is not None:
        mode = "thinking" if request.thinking.type == "enabled" else "chat"
    _check_support(request, mode)
    offers_tools = request.tools is not None and request.tool_choice != "none"
    return GenerationRequest(
        messages=tuple(message.model_dump(exclude_none=True) for message in request.messages),
        thinking_mode=mode,
        sampling=_sampling(request, mode, limits),
        tools=tuple(request.tools or ()) if offers_tools else (),
        stop=tuple(request.stop),
        n=request.n or 1,
    )


def _check_support(request: ChatCompletionRequest, mode: ThinkingMode) -> None:
    """Refuse fields that would have no effect. Raises ApiError (400)."""
    if request.stream_options is not None and not request.stream:
        raise ApiError(400, "stream_options is only allowed with `stream: true`.", "stream_options")
    if mode == "thinking":
        for name in ("logprobs", "top_logprobs"):  # the hosted API refuses them too
            if getattr(request, name):
                raise ApiError(400, f"{name} is not available in thinking mode; leave it out.", name)
    if request.top_logprobs and not request.logprobs:
        raise ApiError(400, "top_logprobs is only allowed with `logprobs: true`.", "top_logprobs")


def _sampling(request: ChatCompletionRequest, mode: ThinkingMode, limits: Limits) -> SamplingParams:
    """The sampling fields of the request; those it leaves out take the engine's defaults.

    Thinking mode ignores presence_penalty and frequency_penalty, as the hosted API does. Fields that the hosted API
    does not have work in both modes.
    """
    thinks = mode == "thinking"
    values: dict[str, Any] = {
        "max_tokens": request.max_tokens or limits.default_max_tokens(mode),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "min_p": request.min_p,
        "top_k": None if request.top_k is None else max(request.top_k, 0),  # vLLM's -1 keeps all tokens too
        "presence_penalty": None if thinks else request.presence_penalty,
        "frequency_penalty": None if thinks else request.frequency_penalty,
        "repetition_penalty": request.repetition_penalty,
        "logit_bias": request.logit_bias,
        "cache_salt": request.cache_salt,
        "logprobs": request.top_logprobs or 0 if request.logprobs else None,
        "seed": request.seed,
    }
    return SamplingParams(**{name: value for name, value in values.items() if value is not None})
