"""Penalties and logit bias of one request."""

import numpy as np
from numpy.typing import NDArray

from baleen.config.engine import SamplingParams


class LogitChanges:
    """Applies the penalties and the bias of one request to its logits.

    It lives as long as the request and counts tokens as they come: recounting a long context at every step, or
    converting a long bias, would take longer than sampling.
    """

    def __init__(self, params: SamplingParams, vocab_size: int):
        self._params = params
        self._num_counted = 0
        self._seen = np.zeros(vocab_size, np.bool_)  # in prompt or completion
        self._count = np.zeros(vocab_size, np.int32)  # in the completion
        banned = params.banned_ids
        self._bias_ids = np.array(list(params.logit_bias), np.int64)
        self._bias = np.array([-np.inf if i in banned else b for i, b in params.logit_bias.items()])

    def apply(self, logits: NDArray[np.float64], token_ids: list[int], num_prompt_tokens: int) -> None:
        """Change `logits` [V] in place; `token_ids` extend those of the last call."""
        self._count_new(token_ids, num_prompt_tokens)
        params = self._params
        if params.repetition_penalty != 1:
            seen = np.flatnonzero(self._seen)
            values = logits[seen]
            penalty = params.repetition_penalty
            logits[seen] = np.where(values > 0, values / penalty, values * penalty)
        if params.frequency_penalty or params.presence_penalty:
            sampled = np.flatnonzero(self._count)
            logits[sampled] -= params.frequency_penalty * self._count[sampled] + params.presence_penalty
        logits[self._bias_ids] += self._bias

    def _count_new(self, token_ids: list[int], num_prompt_tokens: int) -> None:
        new = np.array(token_ids[self._num_counted :], np.int64)
        self._seen[new] = True
        np.add.at(self._count, new[max(num_prompt_tokens - self._num_counted, 0) :], 1)
        self._num_counted = len(token_ids)
