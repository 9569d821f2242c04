"""Documents packed into rows of equal length. Each carries its segment number: neighbors never see each other."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MISSES = 4


@dataclass(frozen=True)
class Document:
    """Tokens to train on.

    Attributes:
        token_ids: the tokens.
        loss_mask: for each token, whether it is a target.
    """

    token_ids: list[int]
    loss_mask: list[bool]


@dataclass(frozen=True)
class Packed:
    """Rows of documents, as arrays [rows, length].

    Attributes:
        token_ids: the tokens; 0 on padding.
        segments: number of a token's document within its row; -1 on padding.
        loss_mask: whether a token is a target.
    """

    token_ids: NDArray[np.int64]
    segments: NDArray[np.int64]
    loss_mask: NDArray[np.bool_]


def first_rows(packed: Packed, count: int) -> Packed:
    """The first `count` rows."""
    return Packed(packed.token_ids[:count], packed.segments[:count], packed.loss_mask[:count])


def last_rows(packed: Packed, count: int) -> Packed:
    """The last `count` rows."""
    return Packed(packed.token_ids[-count:], packed.segments[-count:], packed.loss_mask[-count:])


def pack(draw: Callable[[], Document], rows: int, length: int) -> Packed:
    """Pack documents, each into the first row that has room for it.

    The rows are full when `_MISSES` documents in succession have found no room; those are left out.

    Args:
        draw: draws a document; one longer than `length` is cut.
        rows: number of rows.
        length: tokens of a row.
    """
    packed = Packed(
        np.zeros((rows, length), np.int64),
        np.full((rows, length), -1, np.int64),
        np.zeros((rows, length), bool),
    )
    used, held = [0] * rows, [0] * rows
    misses = 0
    while misses < _MISSES and rows:
        document = draw()
        size = min(length, len(document.token_ids))
        row = next((row for row in range(rows) if used[row] + size <= length), None)
        if row is None:
            misses += 1
            continue
        at = slice(used[row], used[row] + size)
        packed.token_ids[row, at] = document.token_ids[:size]
        packed.loss_mask[row, at] = document.loss_mask[:size]
        packed.segments[row, at] = held[row]
        used[row], held[row], misses = at.stop, held[row] + 1, 0
    return packed


def windows(tokens: NDArray[np.int32], rng: np.random.Generator, rows: int, length: int) -> Packed:
    """`rows` random windows of `length` tokens from a long sequence; every token is a target."""
    token_ids = np.zeros((rows, length), np.int64)
    for row, start in enumerate(rng.integers(0, max(1, len(tokens) - length), rows)):
        token_ids[row] = np.resize(tokens[start : start + length], length)
    return Packed(token_ids, np.zeros_like(token_ids), np.ones(token_ids.shape, bool))


def join(parts: list[Packed]) -> Packed:
    """The rows of several batches of equal length, one batch after the other."""
    return Packed(
        np.concatenate([part.token_ids for part in parts]),
        np.concatenate([part.segments for part in parts]),
        np.concatenate([part.loss_mask for part in parts]),
    )
