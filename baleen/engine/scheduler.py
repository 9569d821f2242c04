"""Decides what the next step computes: one token for each decoding request, and chunks of new prompts."""

from bisect import insort
from collections import deque
from dataclasses import dataclass

from baleen.config.engine import EngineConfig
from baleen.engine.block_manager import BlockManager, extend_block_keys
from baleen.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class ScheduledSequence:
    """A sequence in one step.

    Attributes:
        num_tokens: how many of its pending tokens the step computes.
        samples: whether these are all that are pending, so that the step samples the next one.
        draft: a guess of the token that follows, verified in the same pass; if it is right, the step gives two tokens.
    """

    sequence: Sequence
    num_tokens: int
    samples: bool
    draft: int | None = None


class Scheduler:
    """Continuous batching with chunked prompts, shared prefixes, and preemption by recomputation.

    First come, first served: the latest arrival waits, and the latest arrival is preempted.
    """

    def __init__(self, config: EngineConfig):
        self.config = config
        self.blocks = BlockManager(config.num_blocks)
        self.waiting: deque[Sequence] = deque()  # in order of arrival
        self.running: list[Sequence] = []
        self._free_rows = list(range(config.max_num_seqs - 1, -1, -1))

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence by its arrival, so that a preempted one takes its old place."""
        insort(self.waiting, sequence, key=lambda other: other.arrival)

    def remove(self, sequence: Sequence) -> None:
        """Drop a sequence, running or waiting, and free its blocks."""
        if sequence.batch_index >= 0:
            self._stop(sequence)
        else:
            self.waiting.remove(sequence)

    def schedule(self) -> list[ScheduledSequence]:
        """The sequences of the next step; empty only when none is left."""
        work = self._decode()
        work += self._prefill()
        assert work or not (self.running or self.waiting), f"{len(self.waiting)} sequences wait for nothing"
        return work

    def commit(self, work: list[ScheduledSequence]) -> None:
        """Record that the step ran: full blocks can now be shared."""
        size = self.config.block_size
        for item in work:
            sequence = item.sequence
            sequence.num_computed += item.num_tokens
            full = sequence.num_computed // size
            if full > sequence.num_cached_blocks and self.config.enable_prefix_caching:
                extend_block_keys(sequence.block_keys, sequence.token_ids, size, sequence.params.cache_salt)
                for i in range(sequence.num_cached_blocks, full):
                    self.blocks.cache_block(sequence.blocks[i], sequence.block_keys[i])
                sequence.num_cached_blocks = full

    def preempt_all(self) -> None:
        """Drop everything that was computed, because the weights changed. Running sequences are recomputed."""
        for sequence in list(self.running):
            self._preempt(sequence)
        self.blocks.reset()

    def _decode(self) -> list[ScheduledSequence]:
        work: list[ScheduledSequence] = []
        for sequence in sorted(self.running, key=lambda other: other.arrival):
            # -1: preempted for an earlier one in this very loop
            if sequence.batch_index >= 0 and sequence.num_pending == 1 and self._make_room(sequence):
                work.append(ScheduledSequence(sequence, 1, True, self._roomy_draft(sequence)))
        return work

    def _roomy_draft(self, sequence: Sequence) -> int | None:
        """The sequence's draft if there is a slot for it; nothing is preempted for a guess."""
        if sequence.draft is None or len(sequence.token_ids) < len(sequence.blocks) * self.config.block_size:
            return sequence.draft
        if self.blocks.num_free <= len(self.running):
            return None
        sequence.blocks.append(self.blocks.allocate())
        return sequence.draft

    def _make_room(self, sequence: Sequence) -> bool:
        """Get a block for the sequence's next token, by preemption if needed; False if it is preempted itself."""
        if len(sequence.token_ids) <= len(sequence.blocks) * self.config.block_size:
            return True
        while self.blocks.num_free == 0:
            victim = max(self.running, key=lambda other: other.arrival)
            self._preempt(victim)
            if victim is sequence:
                return False
        sequence.blocks.append(self.blocks.allocate())
        return True

    def _prefill(self) -> list[ScheduledSequence]:
        budget = self.config.max_num_batched_tokens
        work: list[ScheduledSequence] = []
        computing: set[bytes] = set()  # blocks that will be shareable soon
        started = [sequence for sequence in self.running if sequence.num_pending > 1]
        deferred: list[Sequence] = []
        while budget > 0:
            sequence = started.pop(0) if started else self._next_arrival(computing, deferred)
            if sequence is None:
                break
            tokens = min(sequence.num_pending, budget)
            work.append(ScheduledSequence(sequence, tokens, tokens == sequence.num_pending))
            computing.update(sequence.block_keys[sequence.num_cached_blocks :])
            budget -= tokens
        self.waiting.extendleft(reversed(deferred))
        return work

    def _next_arrival(self, computing: set[bytes], deferred: list[Sequence]) -> Sequence | None:
        """Start the first waiting sequence, if there is room for it, and return it.

        A sequence that would compute the same block as another one in this step goes to `deferred`, to share it later.
        """
        while self.waiting and self._free_rows:
            sequence = self.waiting[0]
            found = self._cached_blocks(sequence)
            if any(key in computing for key in sequence.block_keys[len(found) : len(found) + 1]):
                deferred.append(self.waiting.popleft())
                continue
            needed = -(-len(sequence.token_ids) // self.config.block_size) - len(found)
            # Every running sequence may need a block soon; without a reserve they would preempt the newcomer.
            if needed + self.blocks.num_idle(found) + len(self.running) > self.blocks.num_free:
                return None
            self._start(self.waiting.popleft(), found, needed)
            return sequence
        return None

    def _cached_blocks(self, sequence: Sequence) -> list[int]:
        """Cached blocks that start this sequence; its last token is always left to compute."""
        if not self.config.enable_prefix_caching:
            return []
        size = self.config.block_size
        extend_block_keys(sequence.block_keys, sequence.token_ids, size, sequence.params.cache_salt)
        return self.blocks.lookup(sequence.block_keys[: (len(sequence.token_ids) - 1) // size])

    def _start(self, sequence: Sequence, found: list[int], needed: int) -> None:
        self.blocks.ref(found)
        sequence.blocks = found + [self.blocks.allocate() for _ in range(needed)]
        sequence.num_cached_blocks = len(found)
        sequence.num_computed = len(found) * self.config.block_size
        if sequence.num_sampled == 0:
            sequence.num_cached = sequence.num_computed
        sequence.batch_index = self._free_rows.pop()
        self.running.append(sequence)

    def _stop(self, sequence: Sequence) -> None:
        self.running.remove(sequence)
        self.blocks.free(sequence.blocks)
        self._free_rows.append(sequence.batch_index)
        sequence.batch_index, sequence.blocks, sequence.draft = -1, [], None
        sequence.num_tabled = sequence.num_cached_blocks = sequence.num_computed = 0

    def _preempt(self, sequence: Sequence) -> None:
        """Free a sequence's blocks and queue it again; it keeps its tokens."""
        self._stop(sequence)
        self.add(sequence)
