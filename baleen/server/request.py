"""A generation request, independent of the API dialect it came in."""

from dataclasses import dataclass
from typing import Any

from baleen.chat import Message, ThinkingMode
from baleen.config.engine import SamplingParams


@dataclass(frozen=True, slots=True)
class GenerationRequest:
    """A request for `n` answers to one conversation.

    A dialect's route makes it from what the client sent, after checking each field by itself. The service checks
    what needs the whole conversation, the tokenizer or the engine.

    Attributes:
        messages: The conversation, oldest message first, in the form that `baleen.chat` reads, without tools.
            Tool results carry the `tool_call_id` of the call they answer.
        thinking_mode: Whether the model reasons before it answers.
        sampling: How each answer is sampled. `max_tokens` is cut to what the context has room for, and choice `i`
            uses `seed + i`. `logprobs` asks for the log-probabilities of the answers.
        tools: Tool definitions to offer. Without any, tool calls in an answer are dropped.
        stop: Strings that end an answer when they appear in its content. `sampling.stop` would search the
            reasoning too.
        n: How many answers to sample.
    """

    messages: tuple[Message, ...]
    thinking_mode: ThinkingMode
    sampling: SamplingParams
    tools: tuple[dict[str, Any], ...] = ()
    stop: tuple[str, ...] = ()
    n: int = 1
