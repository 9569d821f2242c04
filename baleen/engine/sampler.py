"""From logits to tokens: penalties, temperature, min-p, top-k, top-p, and the record of what was sampled from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baleen.engine.sequence import Sequence

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

# B rows, one per sequence; V vocab_size. Everything is computed in float64 and row by row: no result depends on
# the other rows of the batch.


@dataclass(frozen=True, slots=True)
class Sampled:
    """For each row the sampled token, its log-probability in nats, its sampling mask, and the likeliest tokens.

    sampling_mask, top_logprobs: None in rows that did not request them; see `GenerationResult`.
    """

    token_ids: list[int]
    logprobs: list[float]
    sampling_mask: list[NDArray[np.int32] | None]
    top_logprobs: list[dict[int, float] | None]


def sample(logits: NDArray[np.float32], sequences: list[Sequence]) -> Sampled:
    """Sample a token for each row of `logits` [B, V]. Raises FloatingPointError if they are not finite."""
    scores = logits.astype(np.float64)
    for row, sequence in zip(scores, sequences, strict=True):
        sequence.change_logits(row)
    temperature = np.array([s.params.temperature for s in sequences])
    greedy = temperature == 0
    weights = _weigh(scores, np.where(greedy, 1.0, temperature)[:, None])

    listed = [row for row, sequence in enumerate(sequences) if sequence.params.logprobs is not None]
    uncut = np.log(weights[listed].sum(1))
    mask = _truncate(weights, scores, sequences)
    tokens = np.where(greedy, scores.argmax(1), _draw(weights, sequences))
    logprobs = scores[np.arange(len(tokens)), tokens] - np.log(weights.sum(1))
    top: list[dict[int, float] | None] = [None] * len(sequences)
    for row, total in zip(listed, uncut, strict=True):
        top[row] = _top_logprobs(scores[row], total, sequences[row].params.logprobs or 0, int(tokens[row]))
    return Sampled(tokens.tolist(), logprobs.tolist(), mask, top)


def sampled_logprobs(
    logits: NDArray[np.float32], token_ids: NDArray[np.int64], temperature: float, mask: Mask | None
) -> Floats:
    """Log-probabilities [B] of `token_ids` [B], in nats, as `sample` gives them with the sampling `mask` [B, V]."""
    scores = logits.astype(np.float64)
    weights = _weigh(scores, temperature)
    if mask is not None:
        weights *= mask
    return scores[np.arange(len(token_ids)), token_ids] - np.log(weights.sum(1))


def _weigh(scores: Floats, temperature: Floats | float) -> Floats:
    """Divide `scores` [B, V] by the temperature in place, with the largest of a row at 0; return their exponentials."""
    peak = scores.max(1, keepdims=True)
    if not np.isfinite(peak).all():
        raise FloatingPointError("the model's logits are not finite: its weights or its cache are damaged")
    scores -= peak  # before the division: a tiny temperature must not overflow
    scores /= temperature
    return np.exp(scores)


def _truncate(weights: Floats, scores: Floats, sequences: list[Sequence]) -> list[NDArray[np.int32] | None]:
    """Zero the weights of tokens that min_p, top_k and top_p cut. Returns the ids left, where they are recorded."""
    left: list[NDArray[np.int32] | None] = [None] * len(sequences)
    rows = [row for row, sequence in enumerate(sequences) if sequence.is_truncated or sequence.records_mask]
    if not rows:
        return left
    chosen = [sequences[row] for row in rows]
    vocab = weights.shape[1]
    top_k = np.array([min(s.params.top_k or vocab, vocab) if s.is_truncated else vocab for s in chosen])
    top_p = np.array([s.params.top_p if s.is_truncated else 1.0 for s in chosen])
    min_p = np.array([s.params.min_p if s.is_truncated else 0.0 for s in chosen])
    mask = truncation_mask(weights[rows], top_k, top_p, min_p) & np.isfinite(scores[rows])
    weights[rows] *= mask
    for row, sequence, allowed in zip(rows, chosen, mask, strict=True):
        if sequence.records_mask:
            left[row] = np.flatnonzero(allowed).astype(np.int32)
    return left


def _top_logprobs(scores: Floats, log_total: float, count: int, sampled: int) -> dict[int, float]:
    """The `count` likeliest tokens and the sampled one; `scores` [V] are logarithms, up to `log_total`."""
    ids = np.zeros(0, np.int64)
    if count:
        mask = _top_k_mask(scores[None], np.array([min(count, len(scores))]))[0] & np.isfinite(scores)
        ids = np.flatnonzero(mask)
        ids = ids[np.argsort(-scores[ids], kind="stable")]
    top = dict(zip(ids.tolist(), (scores[ids] - log_total).tolist(), strict=True))
    top.setdefault(sampled, float(scores[sampled] - log_total))
    return top


def truncation_mask(weights: Floats, top_k: NDArray[np.int64], top_p: Floats, min_p: Floats) -> Mask:
    """[B, V] True for the `top_k` heaviest tokens that are not below `min_p` of the heaviest, of these the
    fewest that hold `top_p` of their mass.

    `weights` [B, V] are probabilities up to a factor; `top_k` [B] at least 1; `top_p` [B] in (0, 1], 1 keeps
    all; `min_p` [B] in [0, 1], 0 keeps all. Of equal tokens at the boundary the lowest ids are kept.
    """
    mask = np.ones(weights.shape, np.bool_)
    rows = np.flatnonzero(top_k < weights.shape[1])
    if len(rows):
        mask[rows] = _top_k_mask(weights[rows], top_k[rows])
    rows = np.flatnonzero(min_p > 0)
    if len(rows):
        part = weights[rows]
        mask[rows] &= part >= (min_p[rows] * part.max(1))[:, None]
    rows = np.flatnonzero(top_p < 1)
    if len(rows):
        mask[rows] = _top_p_mask(weights[rows] * mask[rows], top_p[rows])
    return mask


def _top_k_mask(weights: Floats, top_k: NDArray[np.int64]) -> Mask:
    places = weights.shape[1] - top_k
    ordered = np.partition(weights, np.unique(places), axis=1)
    return _heaviest(weights, np.take_along_axis(ordered, places[:, None], 1), top_k)


def _top_p_mask(weights: Floats, top_p: Floats) -> Mask:
    # Tokens lighter than this hold less than 1 - top_p together, so only the others, usually few, need sorting.
    total = weights.sum(1)
    candidates = weights > (total * (1 - top_p) / weights.shape[1])[:, None]
    width = candidates.sum(1)
    owner, ids = np.nonzero(candidates)
    ranked = np.zeros((len(weights), width.max()))
    ranked[owner, np.arange(len(ids)) - np.repeat(width.cumsum() - width, width)] = weights[owner, ids]
    ranked = np.sort(ranked, axis=1)[:, ::-1]
    below = ranked.cumsum(1) < (top_p * total)[:, None]
    count = np.minimum(below.sum(1) + 1, width)
    return _heaviest(weights, np.take_along_axis(ranked, count[:, None] - 1, 1), count)


def _heaviest(weights: Floats, least: Floats, count: NDArray[np.int64]) -> Mask:
    """The `count` [B] heaviest tokens, given the weight `least` [B, 1] of the last of them."""
    mask = weights >= least
    crowded = np.flatnonzero(mask.sum(1) > count)
    if len(crowded):
        equal = weights[crowded] == least[crowded]
        mask[crowded] &= ~equal
        room = count[crowded] - mask[crowded].sum(1)
        mask[crowded] |= equal & (equal.cumsum(1) <= room[:, None])
    return mask


def _draw(weights: Floats, sequences: list[Sequence]) -> NDArray[np.int64]:
    """Draw a token in proportion to its weight, by inverting the cumulative distribution."""
    seeds = np.array([s.seed for s in sequences], np.uint64)
    positions = np.array([len(s.token_ids) for s in sequences], np.uint64)
    cumulative = weights.cumsum(1)
    total = cumulative[:, -1]
    # Below the total even after rounding, so that the count ends at a token whose weight is positive.
    targets = np.minimum(uniform(seeds, positions) * total, np.nextafter(total, 0.0))
    drawn: NDArray[np.int64] = (cumulative <= targets[:, None]).sum(1)
    return drawn


def uniform(seeds: NDArray[np.uint64], counters: NDArray[np.uint64]) -> Floats:
    """A number in [0, 1) for each pair of seed and counter, by SplitMix64 (Steele et al. 2014)."""
    mixed = _mix(_mix(seeds) + counters)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
