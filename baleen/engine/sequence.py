"""A request on its way through the engine, and what comes out of it."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from baleen.config.engine import SamplingParams
from baleen.engine.penalties import LogitChanges

FinishReason = Literal["stop", "length", "abort"]


@dataclass(eq=False, slots=True)
class Sequence:
    """A request in progress; a preempted one keeps its tokens and block keys.

    Attributes:
        token_ids: the prompt and all sampled tokens.
        is_truncated: whether top_p, top_k or min_p may cut its distribution.
        records_mask: whether the sampling mask is recorded, at every position.
    """

    request_id: str
    arrival: int
    num_prompt_tokens: int
    token_ids: list[int]
    params: SamplingParams
    seed: int
    stop_ids: frozenset[int]
    batch_index: int = -1  # row of the block table; -1 while it waits
    blocks: list[int] = field(default_factory=list)
    num_tabled: int = 0  # blocks already in the block table
    num_computed: int = 0  # tokens whose latents are in the cache
    num_cached: int = 0  # prompt tokens found in the prefix cache when the request first ran
    block_keys: list[bytes] = field(default_factory=list)  # of full blocks; the tokens' hash chain
    num_cached_blocks: int = 0  # blocks that others may share
    draft: int | None = None  # guess of the token after the last, to be checked by the next step
    logprobs: list[float] = field(default_factory=list)
    sampling_mask: list[NDArray[np.int32]] = field(default_factory=list)
    top_logprobs: list[dict[int, float]] = field(default_factory=list)
    logit_changes: LogitChanges | None = None  # from the first sample on, if it asks for any
    is_truncated: bool = field(init=False)
    records_mask: bool = field(init=False)

    def __post_init__(self) -> None:
        params = self.params
        self.is_truncated = params.temperature > 0 and (
            params.top_p < 1 or params.top_k > 0 or params.min_p > 0
        )
        limited = self.is_truncated or params.min_tokens > 0 or bool(params.banned_ids)
        self.records_mask = params.record_sampling_mask and limited

    @property
    def num_sampled(self) -> int:
        return len(self.token_ids) - self.num_prompt_tokens

    @property
    def num_pending(self) -> int:
        """Tokens that are known and not yet computed; sampling follows the last of them."""
        return len(self.token_ids) - self.num_computed

    def change_logits(self, logits: NDArray[np.float64]) -> None:
        """Put penalties, bias and min_tokens on `logits` [V], in place."""
        if self.params.changes_logits:
            self.logit_changes = self.logit_changes or LogitChanges(self.params, len(logits))
            self.logit_changes.apply(logits, self.token_ids, self.num_prompt_tokens)
        if self.num_sampled < self.params.min_tokens:
            logits[list(self.stop_ids)] = -np.inf


@dataclass(frozen=True, slots=True)
class StepOutput:
    """What one step gave one request; `new_top_logprobs` as in its result, empty unless requested."""

    request_id: str
    new_token_ids: list[int]
    new_logprobs: list[float]
    new_top_logprobs: list[dict[int, float]]
    finish_reason: FinishReason | None


class SamplingMask(NamedTuple):
    """Ids that each sampled token could have been, ascending, as CSR: `token_ids[offsets[i] : offsets[i + 1]]`."""

    token_ids: NDArray[np.int32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(cls, sets: list[NDArray[np.int32]]) -> "SamplingMask":
        offsets = np.concatenate(([0], np.cumsum([len(ids) for ids in sets], dtype=np.int64)))
        return cls(np.concatenate(sets) if sets else np.zeros(0, np.int32), offsets)


@dataclass(frozen=True, slots=True)
class GenerationResult:
    """A finished request, with all that training needs to replay it.

    Attributes:
        token_ids: sampled tokens, the end token included.
        logprobs: of each sampled token, in nats, under the distribution it was sampled from (at temperature 0: that
            of temperature 1).
        num_cached_tokens: prompt tokens found in the prefix cache.
        routed_experts: int16 [tokens - 1, n_moe_layers, k], the experts of each token of prompt and completion that
            was an input; fewer rows if aborted before they were computed.
        selected: int32 [tokens - 1, n_layers, index_topk], the positions that each of them read in each layer, padded
            with -1; None without record_selection.
        sampling_mask: what top_p, top_k, min_p, bans and min_tokens left to sample from; None if none was in use.
        top_logprobs: for each position the log-probabilities of the likeliest tokens, likeliest first and lowest id
            first among equals, then of the sampled token if it is not among them: as many as params.logprobs says,
            fewer if the others are impossible. They are under the distribution before top_p, top_k and min_p, so a
            sampled token can be lower here than in `logprobs`. None if not requested.
        policy_version: version of the weights that finished it.
    """

    request_id: str
    prompt_ids: list[int]
    token_ids: list[int]
    logprobs: list[float]
    finish_reason: FinishReason
    num_cached_tokens: int
    routed_experts: NDArray[np.int16]
    selected: NDArray[np.int32] | None
    sampling_mask: SamplingMask | None
    top_logprobs: list[dict[int, float]] | None
    policy_version: int

    @property
    def num_prompt_tokens(self) -> int:
        return len(self.prompt_ids)
