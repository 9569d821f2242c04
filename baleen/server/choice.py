"""One of the `n` answers to a request: the message as it is sampled, and its log-probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from baleen.chat import MessageCollector, MessageDelta, Tokenizer
from baleen.server.engine_adapter import EngineOutput
from baleen.server.request import GenerationRequest


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A sampled token and its log-probability.

    Attributes:
        token: The bytes the token stands for, which need not be valid UTF-8 on their own.
        logprob: Under the distribution after temperature, penalties and bias, before top_p, top_k and min_p.
        top: The likeliest tokens at this position with their log-probabilities, the likeliest first.
    """

    token: bytes
    logprob: float
    top: tuple[tuple[bytes, float], ...]


@dataclass(slots=True)
class ChoiceDelta:
    """What one engine step added to choice `index`."""

    index: int
    message: MessageDelta
    logprobs: list[TokenLogprob] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return self.message.is_empty and not self.logprobs


class Choice:
    """Collects one answer.

    Attributes:
        message: The message so far.
        logprobs: One entry per token, without the end token; None if the request did not ask for them.
        cached_tokens: Prompt tokens found in the prefix cache, known once the answer is complete.
    """

    def __init__(self, index: int, tokenizer: Tokenizer, request: GenerationRequest) -> None:
        self.index = index
        self.message = MessageCollector(tokenizer, request.thinking_mode, bool(request.tools), request.stop)
        self.logprobs: list[TokenLogprob] | None = None if request.sampling.logprobs is None else []
        self.cached_tokens = 0
        self._tokenizer = tokenizer
        self._num_top = request.sampling.logprobs or 0

    def push(self, output: EngineOutput) -> ChoiceDelta:
        """Add one engine step. The answer is complete once the message has a finish reason."""
        logprobs = []
        if self.logprobs is not None:
            logprobs = [
                self._token_logprob(token_id, candidates)
                for token_id, candidates in zip(output.new_token_ids, output.new_top_logprobs, strict=True)
                if token_id != self._tokenizer.eos_token_id
            ]
            self.logprobs += logprobs
        self.cached_tokens = output.num_cached_tokens
        return ChoiceDelta(
            self.index, self.message.push(output.new_token_ids, output.finish_reason), logprobs
        )

    def _token_logprob(self, token_id: int, candidates: Mapping[int, float]) -> TokenLogprob:
        token_bytes = self._tokenizer.token_bytes
        top = tuple((token_bytes(other), value) for other, value in islice(candidates.items(), self._num_top))
        return TokenLogprob(token_bytes(token_id), candidates[token_id], top)
