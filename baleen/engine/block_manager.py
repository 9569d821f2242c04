"""Blocks of cache slots: handed out, shared by equal prefixes, and taken back."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence as Tokens

import numpy as np


def block_keys(token_ids: Tokens[int], block_size: int) -> list[bytes]:
    """A key for each full block: it names the block's tokens and everything before them."""
    keys: list[bytes] = []
    parent = b""
    for end in range(block_size, len(token_ids) + 1, block_size):
        tokens = np.asarray(token_ids[end - block_size : end], np.int64)
        parent = hashlib.blake2b(parent + tokens.tobytes(), digest_size=16).digest()
        keys.append(parent)
    return keys


class BlockManager:
    """Reference-counted blocks; a finished block keeps its content until the space is needed (oldest first)."""

    def __init__(self, num_blocks: int):
        self.num_blocks = num_blocks
        self._references = [0] * num_blocks
        self._unused = list(range(num_blocks - 1, 0, -1))  # never held content worth keeping; block 0 stays out
        self._evictable: OrderedDict[int, None] = OrderedDict()  # content kept, no owner; oldest first
        self._block_of: dict[bytes, int] = {}
        self._key_of: dict[int, bytes] = {}

    @property
    def num_free(self) -> int:
        return len(self._unused) + len(self._evictable)

    def lookup(self, keys: Tokens[bytes]) -> list[int]:
        """Blocks that hold the longest cached run of `keys`, not yet taken."""
        found = []
        for key in keys:
            if key not in self._block_of:
                break
            found.append(self._block_of[key])
        return found

    def share(self, blocks: Tokens[int]) -> None:
        """Add an owner to blocks that `lookup` found."""
        for block in blocks:
            self._evictable.pop(block, None)
            self._references[block] += 1

    def take(self) -> int:
        """A block for new content; there must be one (`num_free`)."""
        if self._unused:
            block = self._unused.pop()
        else:
            block, _ = self._evictable.popitem(last=False)
            del self._block_of[self._key_of.pop(block)]
        self._references[block] = 1
        return block

    def name(self, block: int, key: bytes) -> None:
        """Say that `block` now holds the content of `key`, so that others may share it."""
        if key not in self._block_of:
            self._block_of[key] = block
            self._key_of[block] = key

    def release(self, blocks: Tokens[int]) -> None:
        """Drop an owner; the tail of a sequence is reused before its head, which others are likelier to share."""
        for block in reversed(blocks):
            self._references[block] -= 1
            if self._references[block] == 0:
                if block in self._key_of:
                    self._evictable[block] = None
                else:
                    self._unused.append(block)

    def forget(self) -> None:
        """Forget all cached content, as after a change of weights. Blocks in use stay with their owners."""
        self._unused.extend(self._evictable)
        self._evictable.clear()
        self._block_of.clear()
        self._key_of.clear()
