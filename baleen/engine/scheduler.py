"""Which sequences run in the next step: prompts first, in order of arrival, else one token for everybody."""

from collections import deque
from dataclasses import dataclass

from baleen.config.engine import EngineConfig
from baleen.engine.block_manager import BlockManager, block_keys
from baleen.engine.sequence import Sequence


@dataclass(frozen=True)
class Work:
    """A sequence and how many of its tokens the step computes; the last one is sampled from when none remain."""

    sequence: Sequence
    num_tokens: int

    @property
    def samples(self) -> bool:
        return self.sequence.num_computed + self.num_tokens == len(self.sequence.token_ids)


class Scheduler:
    """Continuous batching with chunked prompts and preemption by recomputation."""

    def __init__(self, config: EngineConfig):
        self.config = config
        self.blocks = BlockManager(config.num_blocks)
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []  # in order of arrival; prompts in progress included
        self._free_rows = list(range(config.max_num_seqs - 1, -1, -1))

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def schedule(self) -> list[Work]:
        """The work of the next step; empty when nothing is left to do."""
        return self._prefill() or self._decode()

    def _prefill(self) -> list[Work]:
        budget = self.config.max_num_batched_tokens
        work: list[Work] = []
        for sequence in self.running:
            pending = len(sequence.token_ids) - sequence.num_computed
            if pending > 1 and budget > 0:
                work.append(Work(sequence, min(pending, budget)))
                budget -= work[-1].num_tokens
        being_computed: set[bytes] = set()
        passed_over: list[Sequence] = []
        while self.waiting and budget > 0 and self._free_rows:
            sequence = self.waiting.popleft()
            keys = block_keys(sequence.token_ids[:-1], self.config.block_size)
            found = self.blocks.lookup(keys) if self.config.enable_prefix_caching else []
            fresh = set(keys[len(found) :]) if self.config.enable_prefix_caching else set()
            if fresh & being_computed:
                # a sequence of this very step computes the same prefix: one step later it can be shared
                passed_over.append(sequence)
                continue
            if not self._admit(sequence, keys, found):
                self.waiting.appendleft(sequence)
                break
            being_computed |= fresh
            work.append(Work(sequence, min(len(sequence.token_ids) - sequence.num_computed, budget)))
            budget -= work[-1].num_tokens
        self.waiting.extendleft(reversed(passed_over))
        return work

    def _admit(self, sequence: Sequence, keys: list[bytes], found: list[int]) -> bool:
        needed = -(-len(sequence.token_ids) // self.config.block_size)
        self.blocks.share(found)
        if needed - len(found) > self.blocks.num_free:
            self.blocks.release(found)
            return False
        sequence.blocks = found + [self.blocks.take() for _ in range(needed - len(found))]
        sequence.block_keys = keys[: len(found)]
        sequence.num_computed = len(found) * self.config.block_size
        if sequence.num_sampled == 0:
            sequence.num_cached = sequence.num_computed
        sequence.row = self._free_rows.pop()
        self.running.append(sequence)
        return True

    def _decode(self) -> list[Work]:
        work: list[Work] = []
        for sequence in list(self.running):
            if sequence.row < 0:  # preempted by an earlier one in this very loop
                continue
            if len(sequence.token_ids) > len(sequence.blocks) * self.config.block_size:
                while self.blocks.num_free == 0:
                    victim = self.running[-1]
                    self._preempt(victim)
                    if victim is sequence:
                        break
                if sequence.row < 0:
                    continue
                sequence.blocks.append(self.blocks.take())
            work.append(Work(sequence, 1))
        return work

    def _preempt(self, sequence: Sequence) -> None:
        """Take everything back from the latest arrival; it starts again from its tokens so far."""
        self.release(sequence)
        sequence.num_computed = 0
        self.waiting.appendleft(sequence)

    def release(self, sequence: Sequence) -> None:
        """Remove a running sequence and give back its blocks."""
        self.running.remove(sequence)
        self.blocks.release(sequence.blocks)
        self._free_rows.append(sequence.row)
        sequence.blocks, sequence.block_keys, sequence.row = [], [], -1

    def computed(self, work: list[Work]) -> None:
        """Note that the step ran: full blocks become shareable."""
        size = self.config.block_size
        for item in work:
            sequence = item.sequence
            sequence.num_computed += item.num_tokens
            if not self.config.enable_prefix_caching or sequence.num_computed // size == len(sequence.block_keys):
                continue
            keys = block_keys(sequence.token_ids[: sequence.num_computed], size)
            for i in range(len(sequence.block_keys), len(keys)):
                self.blocks.name(sequence.blocks[i], keys[i])
            sequence.block_keys = keys
