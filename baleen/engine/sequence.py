"""A request on its way through the engine, and what comes out of it."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from baleen.config.engine import SamplingParams

FinishReason = Literal["stop", "length", "abort"]


@dataclass(eq=False, slots=True)
class Sequence:
    """A request in progress. `token_ids` holds the prompt and all sampled tokens.

    row, blocks and what counts them are set while it runs; a preempted one keeps its tokens and block keys.
    """

    request_id: str
    arrival: int
    num_prompt_tokens: int
    token_ids: list[int]
    params: SamplingParams
    seed: int
    stop_ids: frozenset[int]
    row: int = -1  # of the runner's block table; -1 while it waits
    blocks: list[int] = field(default_factory=list)
    num_tabled: int = 0  # blocks that the runner's table shows
    num_computed: int = 0  # tokens whose latents are in the cache
    num_cached: int = 0  # prompt tokens found in the prefix cache when the request first ran
    block_keys: list[bytes] = field(default_factory=list)  # of full blocks; the tokens' hash chain
    num_named: int = 0  # blocks that others may share
    logprobs: list[float] = field(default_factory=list)
    kept: list[NDArray[np.int32]] = field(default_factory=list)

    @property
    def num_sampled(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens

    @property
    def num_pending(self) -> int:
        """Tokens that are known and not yet computed; sampling follows the last of them."""
        return len(self.token_ids) - self.num_computed

    @property
    def records_kept(self) -> bool:
        """Whether its distribution may be cut: the kept sets are then recorded at every position."""
        params = self.params
        return params.min_tokens > 0 or (params.temperature > 0 and (params.top_p < 1 or params.top_k > 0))


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What one step gave one request."""

    request_id: str
    new_token_ids: list[int]
    new_logprobs: list[float]
    finish_reason: FinishReason | None


@dataclass(frozen=True, slots=True)
class KeptSets:
    """Ids that each position could be, ascending, as CSR: `token_ids[offsets[i]:offsets[i + 1]]`."""

    token_ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, sets: list[NDArray[np.int32]]) -> "KeptSets":
        offsets = np.concatenate(([0], np.cumsum([len(ids) for ids in sets], dtype=np.int64)))
        return cls(np.concatenate(sets) if sets else np.zeros(0, np.int32), offsets)


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """A finished request, with all that training needs to replay it.

    token_ids: sampled tokens, the end token included. logprobs: of each, in nats, under the distribution it
    was sampled from (at temperature 0: the one of temperature 1). routed_experts: int16 [tokens - 1,
    n_moe_layers, k] for every token of prompt and completion that was an input; fewer rows if aborted before
    they were computed. kept: what top-p, top-k and min_tokens left to sample from, None where none was asked
    for. policy_version: of the weights that finished it.
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
