"""From logits to tokens: temperature, top-k, top-p; log-probabilities and kept sets of the distribution sampled from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baleen.engine.sequence import Sequence

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sampled:
    """One token a row, its log-probability, and the row's kept set (None where nothing was cut)."""

    token_ids: list[int]
    logprobs: list[float]
    kept: list[NDArray[np.int32] | None]


def sample(logits: NDArray[np.float32], sequences: list[Sequence], eos_token_id: int) -> Sampled:
    """Sample a token for each row of `logits` [B, vocab]. A row's result does not depend on the other rows."""
    scores = logits.astype(np.float64)
    for row, sequence in enumerate(sequences):
        if sequence.num_sampled < sequence.params.min_tokens:
            scores[row, eos_token_id] = -np.inf
    temperature = np.array([s.params.temperature for s in sequences])
    scores /= np.where(temperature > 0, temperature, 1.0)[:, None]
    truncated = [
        row for row, s in enumerate(sequences) if temperature[row] > 0 and (s.params.top_p < 1 or s.params.top_k)
    ]
    kept: list[NDArray[np.int32] | None] = [None] * len(sequences)
    for row in truncated:
        ids = kept_ids(scores[row], sequences[row].params.top_k, sequences[row].params.top_p)
        allowed = scores[row, ids]
        scores[row] = -np.inf
        scores[row, ids] = allowed
        kept[row] = ids
    logprobs = scores - scores.max(1, keepdims=True)
    logprobs -= np.log(np.exp(logprobs).sum(1, keepdims=True))
    cumulative = np.exp(logprobs).cumsum(1)
    seeds = np.array([s.seed for s in sequences], np.uint64)
    positions = np.array([len(s.token_ids) for s in sequences], np.uint64)
    draws = uniform(seeds, positions) * cumulative[:, -1]
    tokens = (cumulative <= draws[:, None]).sum(1)
    tokens = np.where(temperature > 0, tokens, scores.argmax(1))
    chosen = logprobs[np.arange(len(tokens)), tokens]
    return Sampled(tokens.tolist(), chosen.tolist(), kept)


def kept_ids(scores: Floats, top_k: int, top_p: float) -> NDArray[np.int32]:
    """Ids left by top-k, then by top-p: the fewest likeliest tokens that hold `top_p` of the mass. Sorted."""
    order = np.argsort(-scores, kind="stable")
    if top_k:
        order = order[:top_k]
    if top_p < 1:
        mass = np.exp(scores[order] - scores[order[0]])
        mass = mass.cumsum() / mass.sum()
        order = order[: int(np.searchsorted(mass, top_p)) + 1]
    return np.sort(order).astype(np.int32)


def uniform(seeds: NDArray[np.uint64], positions: NDArray[np.uint64]) -> Floats:
    """A number in [0, 1) for each (seed, position): SplitMix64 (Steele et al. 2014), so no state to keep or share."""
    with np.errstate(over="ignore"):
        x = seeds * np.uint64(0xD1342543DE82EF95) + (positions + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x = x ^ (x >> np.uint64(31))
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53
