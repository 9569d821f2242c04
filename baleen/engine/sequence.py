"""A request on its way through the engine, and what comes out of it."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from baleen.config.engine import SamplingParams

FinishReason = Literal["stop", "length", "abort"]


@dataclass(frozen=True)
class KeptSets:
    """Token ids that top-p and top-k left at each sampled position, as CSR: `token_ids[offsets[i]:offsets[i + 1]]`."""

    token_ids: NDArray[np.int32]
    offsets: NDArray[np.int64]


@dataclass
class Sequence:
    """A request in progress. `token_ids` holds the prompt and all sampled tokens."""

    request_id: str
    num_prompt_tokens: int
    token_ids: list[int]
    params: SamplingParams
    seed: int
    blocks: list[int] = field(default_factory=list)
    num_computed: int = 0  # tokens whose latents are in the cache
    num_cached: int = 0  # of these, found in the prefix cache when the request first ran
    block_keys: list[bytes] = field(default_factory=list)
    row: int = -1  # of the runner's block table
    logprobs: list[float] = field(default_factory=list)
    kept: list[NDArray[np.int32]] = field(default_factory=list)
    finish_reason: FinishReason | None = None

    @property
    def num_sampled(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens


@dataclass(frozen=True)
class StepOutput:
    """What one step gave one request."""

    request_id: str
    new_token_ids: list[int]
    new_logprobs: list[float]
    finish_reason: FinishReason | None


@dataclass(frozen=True)
class GenerationResult:
    """A finished request, with all that training needs to replay it.

    token_ids: sampled tokens, the end token included. logprobs: of each under the distribution it was sampled from
    (at temperature 0: under the untempered one). routed_experts: int16 [tokens - 1, n_moe_layers, k], for every
    token of prompt and completion that was an input. kept: sets left by top-p and top-k, None where all were.
    """

    request_id: str
    prompt_ids: list[int]
    token_ids: list[int]
    logprobs: list[float]
    finish_reason: FinishReason
    num_cached_tokens: int
    routed_experts: NDArray[np.int16]
    kept: KeptSets | None
    policy_version: int

    @property
    def num_prompt_tokens(self) -> int:
        return len(self.prompt_ids)


def kept_sets(rows: list[NDArray[np.int32]]) -> KeptSets:
    """One set a position, as CSR."""
    lengths = [len(row) for row in rows]
    offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int64)))
    return KeptSets(np.concatenate(rows) if rows else np.zeros(0, np.int32), offsets)
