"""Rollouts as training data: token ids as sampled, and what the engine chose for each of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SamplingMask = tuple[NDArray[np.int32], NDArray[np.int64]]
"""The ids that each sampled token was drawn from, in CSR form: token i from ids[offsets[i] : offsets[i + 1]]."""


@dataclass(frozen=True, eq=False)
class Replay:
    """What the engine chose while it sampled a sequence of S tokens, for a trainer to enforce (V3.2 report, sec. 3.1).

    Attributes:
        experts: int16 [S - 1, n_moe_layers, k], the experts of each token that was an input (keep routing).
        selected: int32 [S - 1, n_layers, index_topk], the positions that each token read, padded with -1 (keep
            selection); None if not recorded.
        sampling_mask: what top-p, top-k, bans and the like left of the vocabulary (keep sampling mask); None if
            nothing was cut.
        policy_version: version of the weights that finished the sequence.
    """

    experts: NDArray[np.int16]
    selected: NDArray[np.int32] | None = None
    sampling_mask: SamplingMask | None = None
    policy_version: int = 0


@dataclass(frozen=True)
class TrainingSample:
    """One sequence of S tokens to learn from, exactly as it was sampled; nothing is encoded again.

    Attributes:
        token_ids: [S].
        loss_mask: [S] True on sampled ids, False on prompts and tool results.
        logprobs: [S] log-probabilities of the sampled ids in nats, 0.0 elsewhere.
        advantage: of the whole sequence.
        replay: of the whole sequence; None if the policy recorded nothing.
    """

    token_ids: list[int]
    loss_mask: list[bool]
    logprobs: list[float]
    advantage: float = 0.0
    replay: Replay | None = None


def joined(replays: Sequence[Replay]) -> Replay:
    """The replay of a sequence that was sampled in several completions, each a prefix of the next."""
    last = replays[-1]
    masks = [replay.sampling_mask for replay in replays if replay.sampling_mask is not None]
    if len(masks) < len(replays):
        return Replay(last.experts, last.selected, None, last.policy_version)
    sizes = np.concatenate([np.diff(offsets) for _, offsets in masks])
    mask = np.concatenate([ids for ids, _ in masks]), np.concatenate(([0], sizes.cumsum()))
    return Replay(last.experts, last.selected, mask, last.policy_version)
