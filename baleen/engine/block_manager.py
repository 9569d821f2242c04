"""Blocks of cache slots: handed out, shared by equal prefixes, and taken back."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence as Many

import numpy as np


def extend_block_keys(keys: list[bytes], token_ids: list[int], block_size: int, salt: str = "") -> None:
    """Append the keys of full blocks that `keys` lacks. A key hashes its block's tokens, all before, and the salt."""
    for end in range((len(keys) + 1) * block_size, len(token_ids) + 1, block_size):
        tokens = np.array(token_ids[end - block_size : end], np.int64)
        parent = keys[-1] if keys else salt.encode()
        keys.append(hashlib.blake2b(parent + tokens.tobytes(), digest_size=16).digest())


class BlockManager:
    """Reference-counted cache blocks. A cached block keeps its content until the space is needed, oldest first.

    Block 0 is never allocated: the writes of padding go there.
    """

    def __init__(self, num_blocks: int):
        self.num_blocks = num_blocks
        self._references = [0] * num_blocks
        self._unused = list(range(num_blocks - 1, 0, -1))  # hold nothing worth keeping
        self._evictable: OrderedDict[int, None] = OrderedDict()  # cached, without an owner
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
        """How many of `blocks` have no owner: a reference to them uses up that many free blocks."""
        return sum(self._references[block] == 0 for block in blocks)

    def ref(self, blocks: Many[int]) -> None:
        """Add an owner to blocks that `lookup` found."""
        for block in blocks:
            self._evictable.pop(block, None)
            self._references[block] += 1

    def allocate(self) -> int:
        """A block for new content, with one owner. Check `num_free` first."""
        if self._unused:
            block = self._unused.pop()
        else:
            block, _ = self._evictable.popitem(last=False)
            del self._block_of[self._key_of.pop(block)]
        self._references[block] = 1
        return block

    def cache_block(self, block: int, key: bytes) -> None:
        """Record that `block` holds the content of `key`, unless another block does already."""
        if key not in self._block_of:
            self._block_of[key] = block
            self._key_of[block] = key

    def free(self, blocks: Many[int]) -> None:
        """Remove one owner. A sequence's tail is reused before its head, which others are more likely to share."""
        for block in reversed(blocks):
            self._references[block] -= 1
            assert self._references[block] >= 0, f"block {block} was freed more often than allocated"
            if self._references[block] == 0:
                if block in self._key_of:
                    self._evictable[block] = None
                else:
                    self._unused.append(block)

    def reset(self) -> None:
        """Empty the prefix cache. Blocks in use stay with their owners."""
        self._unused.extend(self._evictable)
        self._evictable.clear()
        self._block_of.clear()
        self._key_of.clear()
