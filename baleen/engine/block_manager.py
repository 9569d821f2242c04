"""Blocks of cache slots: handed out, shared by equal prefixes, and taken back."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence as Many

import numpy as np


def extend_block_keys(keys: list[bytes], token_ids: list[int], block_size: int, salt: str = "") -> None:
    """Append the keys of full blocks that `keys` lacks. A key names its block's tokens, all before, and the salt."""
    for end in range((len(keys) + 1) * block_size, len(token_ids) + 1, block_size):
        tokens = np.array(token_ids[end - block_size : end], np.int64)
        parent = keys[-1] if keys else salt.encode()
        keys.append(hashlib.blake2b(parent + tokens.tobytes(), digest_size=16).digest())


class BlockManager:
    """Reference-counted blocks; a named block keeps its content until the space is needed, oldest first.

    Block 0 is never handed out: the writes of padding go there.
    """

    def __init__(self, num_blocks: int):
        self.num_blocks = num_blocks
        self._references = [0] * num_blocks
        self._unused = list(range(num_blocks - 1, 0, -1))  # hold nothing worth keeping
        self._evictable: OrderedDict[int, None] = OrderedDict()  # named, without an owner
        self._block_of: dict[bytes, int] = {}
        self._key_of: dict[int, bytes] = {}

    @property
    def num_free(self) -> int:
        return len(self._unused) + len(self._evictable)

    def lookup(self, keys: Many[bytes]) -> list[int]:
        """Blocks that hold the longest cached run of `keys`; they are not yet owned."""
        found = []
        for key in keys:
            if key not in self._block_of:
                break
            found.append(self._block_of[key])
        return found

    def num_idle(self, blocks: Many[int]) -> int:
        """How many of `blocks` nobody owns: sharing them uses up that many free blocks."""
        return sum(self._references[block] == 0 for block in blocks)

    def share(self, blocks: Many[int]) -> None:
        """Add an owner to blocks that `lookup` found."""
        for block in blocks:
            self._evictable.pop(block, None)
            self._references[block] += 1

    def take(self) -> int:
        """A block for new content, with one owner. There must be one: see `num_free`."""
        if self._unused:
            block = self._unused.pop()
        else:
            block, _ = self._evictable.popitem(last=False)
            del self._block_of[self._key_of.pop(block)]
        self._references[block] = 1
        return block

    def name(self, block: int, key: bytes) -> None:
        """Say that `block` holds the content of `key` now. If another one does, that keeps the name."""
        if key not in self._block_of:
            self._block_of[key] = block
            self._key_of[block] = key

    def release(self, blocks: Many[int]) -> None:
        """Drop an owner. A sequence's tail is reused before its head, which others are likelier to share."""
        for block in reversed(blocks):
            self._references[block] -= 1
            assert self._references[block] >= 0, f"block {block} was released more often than taken"
            if self._references[block] == 0:
                if block in self._key_of:
                    self._evictable[block] = None
                else:
                    self._unused.append(block)

    def forget(self) -> None:
        """Drop all names: nothing cached so far is found again. Blocks in use stay with their owners."""
        self._unused.extend(self._evictable)
        self._evictable.clear()
        self._block_of.clear()
        self._key_of.clear()
