"""Runs the model on the scheduled sequences: block tables to slots, tokens to logits."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baleen.config.engine import EngineConfig, WeightDtype
from baleen.engine.cache_checker import CacheChecker
from baleen.engine.scheduler import ScheduledSequence
from baleen.engine.sequence import Sequence
from baleen.model import AttentionMetadata, LatentCache, Paged, Transformer

# Prompt chunks up to this long join the forward pass of the decoding sequences, with a row for each token: a pass of
# their own would mostly be overhead.
SHORT_CHUNK = 32

Ints = NDArray[np.int64]


class ModelRunner:
    """Owns the cache and the block tables of the running sequences."""

    def __init__(
        self, model: Transformer, config: EngineConfig, weight_dtype: WeightDtype | None, max_model_len: int
    ):
        """weight_dtype: of a prepacked model; None for a plain one."""
        self.model = model
        self.max_model_len = max_model_len
        self.block_size = config.block_size
        weight = next(model.parameters())  # the embedding
        self.device = weight.device
        # With weights below float32 the cache is rounded too, and read twice as fast.
        dtype = torch.bfloat16 if weight_dtype in ("bfloat16", "int8") else weight.dtype
        slots = config.num_blocks * config.block_size
        self.cache = LatentCache(
            *(model.config, slots, dtype, self.device, config.speculative, config.record_selection),
            index_bytes=weight_dtype == "int8",
        )
        self._tables = np.zeros((config.max_num_seqs, -(-max_model_len // config.block_size)), np.int64)
        self._passes: list[_Pass] = []  # of the last step
        self._checker = CacheChecker(slots, max_model_len) if config.check_cache else None

    def run(self, work: list[ScheduledSequence]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Compute and cache the tokens of `work`.

        Returns:
            Logits [num_sampling, vocab] after the last token of each item that samples, and logits [num_drafted, vocab]
            after the draft of each item that has one; both in the order of `work`.
        """
        for item in work:
            self._update_table(item.sequence)
            if self._checker is not None:
                self._check_cache(self._checker, item)
        self._passes = [self._pass(work, group) for group in _groups(work)]
        vocab = self.model.config.vocab_size
        samples = np.array([item.samples for item in work])
        drafted = np.array([item.draft is not None for item in work])
        logits = np.empty((samples.sum(), vocab), np.float32)
        draft_logits = np.empty((drafted.sum(), vocab), np.float32)
        rows, draft_rows = samples.cumsum() - 1, drafted.cumsum() - 1
        for one in self._passes:
            sampling, drafting = samples[one.indices], drafted[one.indices]
            last = one.firsts + one.counts - 1  # the draft, if there is one
            places = np.concatenate(((last - drafting)[sampling], last[drafting]))
            next_logits, after_drafts = np.split(self._logits(one.hidden, places), [sampling.sum()])
            logits[rows[one.indices[sampling]]] = next_logits
            draft_logits[draft_rows[one.indices[drafting]]] = after_drafts
        return logits, draft_logits

    def draft(self, work: list[ScheduledSequence]) -> None:
        """Draft, for every sequence that has just sampled, the token after its last, with the MTP layer.

        That layer's cache gets the tokens that `run` computed and that turned out right. In a shared prefix the last
        entry has seen another next token, which can make a draft worse but never changes a sampled token.
        """
        for one in self._passes:
            next_ids = np.zeros(one.hidden.shape[0] * one.hidden.shape[1], np.int64)
            known = np.zeros(len(next_ids), np.bool_)
            drafting, places = [], []
            for index, first, start in zip(one.indices, one.firsts, one.starts, strict=True):
                item = work[index]
                sequence = item.sequence
                if sequence.batch_index < 0:  # finished
                    continue
                count = sequence.num_computed - start
                next_ids[first : first + count] = sequence.token_ids[start + 1 : start + 1 + count]
                known[first : first + count] = True
                if item.samples and self._may_draft(sequence):
                    drafting.append(sequence)
                    places.append(first + count - 1)
                else:
                    sequence.draft = None
            shape = one.hidden.shape[:2]
            hidden = self._draft_pass(one, next_ids.reshape(shape), known.reshape(shape))
            drafts = self._logits(hidden, np.array(places, np.int64)).argmax(1)
            for sequence, token in zip(drafting, drafts, strict=True):
                sequence.draft = int(token)

    def _may_draft(self, sequence: Sequence) -> bool:
        """Whether the sequence has room for a second token in the next step."""
        length = len(sequence.token_ids)
        return sequence.num_sampled + 1 < sequence.params.max_tokens and length + 1 < self.max_model_len

    def routed_experts(self, sequence: Sequence) -> NDArray[np.int16]:
        """int16 [tokens, n_moe_layers, k]: the experts of the sequence's computed tokens."""
        slots = self._slots(sequence, sequence.num_computed)
        experts: NDArray[np.int16] = self.cache.routed_experts[self._tensor(slots)].cpu().numpy()
        return experts

    def selected(self, sequence: Sequence) -> NDArray[np.int32] | None:
        """int32 [tokens, n_layers, index_topk]: positions that the sequence's computed tokens read, if recorded."""
        if self.cache.selected is None:
            return None
        slots = self._slots(sequence, sequence.num_computed)
        read: NDArray[np.int32] = self.cache.selected[self._tensor(slots)].cpu().numpy()
        return read

    def _slots(self, sequence: Sequence, length: int) -> Ints:
        return self._context(np.array([sequence.batch_index]), np.array([length]))[0]

    def _pass(self, work: list[ScheduledSequence], indices: list[int]) -> "_Pass":
        """One forward pass: a row for each token of short chunks, [tokens, 1], for each sequence of long ones."""
        items = [work[index] for index in indices]
        counts = np.array([_size(item) for item in items])
        starts = np.array([item.sequence.num_computed for item in items])
        rows = np.array([item.sequence.batch_index for item in items])
        firsts = counts.cumsum() - counts
        tokens = np.concatenate([_new_tokens(item) for item in items])
        if counts.max() <= SHORT_CHUNK:
            positions = np.arange(len(tokens)) + np.repeat(starts - firsts, counts)
            hidden, meta = self._forward(
                tokens[:, None], positions[:, None], np.repeat(rows, counts), lengths=positions + 1
            )
        else:
            offsets = np.arange(counts.max())
            inside = offsets < counts[:, None]
            token_ids = np.zeros(inside.shape, np.int64)
            token_ids[inside] = tokens
            positions = np.where(inside, starts[:, None] + offsets, -1)
            hidden, meta = self._forward(token_ids, positions, rows, lengths=starts + counts)
            firsts = np.arange(len(items)) * inside.shape[1]
        return _Pass(np.array(indices), counts, starts, firsts, hidden, meta)

    def _forward(
        self, token_ids: Ints, positions: Ints, rows: Ints, lengths: Ints
    ) -> tuple[Tensor, AttentionMetadata]:
        """Hidden states [B, S, hidden_size] of `token_ids` [B, S], and their metadata.

        positions: [B, S], -1 for padding. rows: [B] of the block table. lengths: [B] of the contexts, with the new
        tokens.
        """
        context = self._context(rows, lengths)
        padding = positions < 0
        positions = np.where(padding, 0, positions)
        paged = Paged(
            self.cache,
            slot_mapping=self._tensor(np.where(padding, 0, np.take_along_axis(context, positions, 1))),
            context_slots=self._tensor(context),
        )
        meta = AttentionMetadata(self._tensor(positions), paged=paged)
        with torch.inference_mode():
            return self.model.hidden_states(self._tensor(token_ids), meta), meta

    def _draft_pass(self, one: "_Pass", next_ids: Ints, known: NDArray[np.bool_]) -> Tensor:
        """Hidden states of the MTP layer where the next token is `known` [B, S]; elsewhere it writes to padding."""
        paged = one.meta.paged
        assert paged is not None, "served batches are paged"
        mask = torch.from_numpy(known).to(self.device)
        kept = Paged(self.cache, paged.slot_mapping * mask, paged.context_slots)
        meta = AttentionMetadata(one.meta.positions * mask, paged=kept)
        with torch.inference_mode():
            return self.model.draft_hidden_states(one.hidden, self._tensor(next_ids), meta)

    def _logits(self, hidden: Tensor, places: Ints) -> NDArray[np.float32]:
        """Logits [len(places), vocab] at `places` of the flattened `hidden` [B, S, hidden_size]."""
        if not len(places):
            return np.empty((0, self.model.config.vocab_size), np.float32)
        with torch.inference_mode():
            found: NDArray[np.float32] = (
                self.model.logits(hidden.flatten(0, 1)[self._tensor(places)]).cpu().numpy()
            )
        return found

    def _check_cache(self, checker: CacheChecker, item: ScheduledSequence) -> None:
        sequence = item.sequence
        slots = self._slots(sequence, sequence.num_computed + _size(item))
        checker.check(sequence, slots[: sequence.num_computed])
        checker.write(sequence.token_ids[: sequence.num_computed] + _new_tokens(item), slots)

    def _context(self, rows: Ints, lengths: Ints) -> Ints:
        """[B, T] slot of each position of the sequences in `rows` [B], 0 from `lengths` [B] on."""
        longest = int(lengths.max(initial=0))
        first = self._tables[rows, : -(-longest // self.block_size), None] * self.block_size
        slots = (first + np.arange(self.block_size)).reshape(len(rows), -1)[:, :longest]
        return slots * (np.arange(longest) < lengths[:, None])

    def _update_table(self, sequence: Sequence) -> None:
        shown, count = sequence.num_tabled, len(sequence.blocks)
        if shown < count:
            self._tables[sequence.batch_index, shown:count] = sequence.blocks[shown:]
            sequence.num_tabled = count

    def _tensor(self, array: Ints) -> Tensor:
        return torch.from_numpy(array).to(self.device)


@dataclass(frozen=True)
class _Pass:
    """A forward pass of some of the scheduled sequences.

    Attributes:
        indices: which of them, in the order of the pass.
        counts: tokens computed of each.
        starts: position of the first of these tokens in its sequence.
        firsts: index of that token in the flattened `hidden`, where a sequence's tokens are neighbors.
        hidden: [B, S, hidden_size].
    """

    indices: Ints
    counts: Ints
    starts: Ints
    firsts: Ints
    hidden: Tensor
    meta: AttentionMetadata


def _size(item: ScheduledSequence) -> int:
    return item.num_tokens + (item.draft is not None)


def _new_tokens(item: ScheduledSequence) -> list[int]:
    begin = item.sequence.num_computed
    tokens = item.sequence.token_ids[begin : begin + item.num_tokens]
    return tokens if item.draft is None else [*tokens, item.draft]


def _groups(work: list[ScheduledSequence]) -> Iterator[list[int]]:
    """Indices of the items that share a forward pass: all short ones; long ones with at most half padding."""
    short = [i for i, item in enumerate(work) if _size(item) <= SHORT_CHUNK]
    if short:
        yield short
    group: list[int] = []
    longest_first = sorted(range(len(work)), key=lambda i: -work[i].num_tokens)
    for i in longest_first[: len(work) - len(short)]:
        if group and 2 * work[i].num_tokens < work[group[0]].num_tokens:
            yield group
            group = []
        group.append(i)
    if group:
        yield group
