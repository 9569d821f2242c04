"""For debugging: does a step read the sequence's own tokens from the cache?"""

import numpy as np
from numpy.typing import NDArray

from baleen.engine.sequence import Sequence

_BASE = 0x9E3779B97F4A7C15  # odd, so no power of it is zero


class CacheChecker:
    """Stamps each slot with a hash of the token it holds and of all before it, so that a wrong block is noticed.

    Owners of a shared block stamp it alike, since a latent depends on its prefix alone.
    """

    def __init__(self, num_slots: int, max_length: int):
        self._stamps = np.zeros(num_slots, np.uint64)
        with np.errstate(over="ignore"):
            self._powers = np.cumprod(np.full(max_length, _BASE, np.uint64))

    def check(self, sequence: Sequence, slots: NDArray[np.int64]) -> None:
        """Raises AssertionError if one of `slots`, where the sequence's computed tokens are, holds another token."""
        wrong = np.flatnonzero(self._stamps[slots] != self._hashes(sequence.token_ids[: len(slots)]))
        assert not len(wrong), (
            f"request {sequence.request_id!r} would read slot {slots[wrong[0]]} for position {wrong[0]}, which holds "
            f"the token of another prefix: the block table is damaged"
        )

    def write(self, token_ids: list[int], slots: NDArray[np.int64]) -> None:
        """Record that the first `len(slots)` of `token_ids` are cached in `slots`."""
        self._stamps[slots] = self._hashes(token_ids[: len(slots)])

    def _hashes(self, token_ids: list[int]) -> NDArray[np.uint64]:
        # The salt does not change the latents, so it is not part of the hash.
        return np.cumsum((np.array(token_ids, np.uint64) + np.uint64(1)) * self._powers[: len(token_ids)])
