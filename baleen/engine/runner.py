"""Runs the model on a step's work: block tables to slots, tokens to logits."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baleen.config.engine import EngineConfig, WeightFormat
from baleen.engine.page_guard import PageGuard
from baleen.engine.scheduler import Work
from baleen.engine.sequence import Sequence
from baleen.model import AttentionMetadata, LatentCache, Paged, Transformer

# Pieces of a prompt up to this long join the forward pass of the sequences that sample, with a row for each
# token: a pass of their own would mostly be overhead.
SHORT_PIECE = 32

Ints = NDArray[np.int64]


class Runner:
    """Owns the cache and the block tables of the running sequences."""

    def __init__(
        self, model: Transformer, config: EngineConfig, packed: WeightFormat | None, max_model_len: int
    ):
        """packed: the format of the model's packed weights; None for a plain one."""
        self.model = model
        self.max_model_len = max_model_len
        self.block_size = config.block_size
        weight = next(model.parameters())  # the embedding
        self.device = weight.device
        # packed weights below float32: what is cached is rounded as they are, and read twice as fast
        dtype = torch.bfloat16 if packed in ("bfloat16", "int8") else weight.dtype
        slots = config.num_blocks * config.block_size
        self.cache = LatentCache(
            *(model.config, slots, dtype, self.device, config.speculative, config.record_selection),
            index_bytes=packed == "int8",
        )
        self._tables = np.zeros((config.max_num_seqs, -(-max_model_len // config.block_size)), np.int64)
        self._passes: list[_Pass] = []  # of the last step
        self._guard = PageGuard(slots, max_model_len) if config.check_pages else None

    def run(self, work: list[Work]) -> NDArray[np.float32]:
        """Compute the work's tokens and cache them.

        Returns logits [rows, vocab] in order: after the last token of the items that sample, then after the drafts.
        """
        for item in work:
            self._update_table(item.sequence)
            if self._guard is not None:
                self._check_pages(self._guard, item)
        self._passes = [self._pass([work[i] for i in group]) for group in _groups(work)]
        sampling = [item for item in work if item.samples]
        drafted = [item for item in work if item.draft is not None]
        rows = {id(item): row for row, item in enumerate(sampling)}
        draft_rows = {id(item): row for row, item in enumerate(drafted, len(sampling))}
        logits = np.empty((len(sampling) + len(drafted), self.model.config.vocab_size), np.float32)
        for one in self._passes:
            last = {id(item): end for item, end in zip(one.work, one.firsts + one.counts - 1, strict=True)}
            wanted = [(rows[i], place - (i in draft_rows)) for i, place in last.items() if i in rows]
            wanted += [(draft_rows[i], place) for i, place in last.items() if i in draft_rows]
            if wanted:
                found, places = zip(*wanted, strict=True)
                logits[list(found)] = self._logits(one.hidden, np.array(places))
        return logits

    def draft(self, work: list[Work]) -> None:
        """Guess, for every sequence that has just sampled, the token after its last, with the MTP layer.

        That layer's cache gets the tokens that `run` computed and that turned out right. Where a cached prefix is
        shared its last entry has seen another next token: a guess may be worse for it, a sampled token never.
        """
        for one in self._passes:
            next_ids = np.zeros(one.hidden.shape[0] * one.hidden.shape[1], np.int64)
            known = np.zeros(len(next_ids), np.bool_)
            guessing, places = [], []
            for item, first, start in zip(one.work, one.firsts, one.starts, strict=True):
                sequence = item.sequence
                if sequence.row < 0:  # finished
                    continue
                count = sequence.num_computed - start
                next_ids[first : first + count] = sequence.token_ids[start + 1 : start + 1 + count]
                known[first : first + count] = True
                if item.samples and self._may_guess(sequence):
                    guessing.append(sequence)
                    places.append(first + count - 1)
                else:
                    sequence.draft = None
            shape = one.hidden.shape[:2]
            hidden = self._draft_pass(one, next_ids.reshape(shape), known.reshape(shape))
            if guessing:
                for sequence, token in zip(
                    guessing, self._logits(hidden, np.array(places)).argmax(1), strict=True
                ):
                    sequence.draft = int(token)

    def _may_guess(self, sequence: Sequence) -> bool:
        """Whether a second token could still be handed out."""
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
        return self._context(np.array([sequence.row]), np.array([length]))[0]

    def _pass(self, work: list[Work]) -> "_Pass":
        """One forward pass: a row for each token of short pieces, [tokens, 1], for each sequence of long ones."""
        counts = np.array([_size(item) for item in work])
        starts = np.array([item.sequence.num_computed for item in work])
        rows = np.array([item.sequence.row for item in work])
        firsts = counts.cumsum() - counts
        tokens = np.concatenate([_new_tokens(item) for item in work])
        if counts.max() <= SHORT_PIECE:
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
            firsts = np.arange(len(work)) * inside.shape[1]
        return _Pass(work, counts, starts, firsts, hidden, meta)

    def _forward(
        self, token_ids: Ints, positions: Ints, rows: Ints, lengths: Ints
    ) -> tuple[Tensor, AttentionMetadata]:
        """Hidden states [B, S, hidden_size] of `token_ids` [B, S], and where these stand.

        `positions` [B, S], -1 being padding; `rows` [B] of the block table; `lengths` [B] of the contexts, new tokens
        included.
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
        with torch.inference_mode():
            found: NDArray[np.float32] = (
                self.model.logits(hidden.flatten(0, 1)[self._tensor(places)]).cpu().numpy()
            )
        return found

    def _check_pages(self, guard: PageGuard, item: Work) -> None:
        sequence = item.sequence
        slots = self._slots(sequence, sequence.num_computed + _size(item))
        guard.check(sequence, slots[: sequence.num_computed])
        guard.write(sequence.token_ids[: sequence.num_computed] + _new_tokens(item), slots)

    def _context(self, rows: Ints, lengths: Ints) -> Ints:
        """[B, T] slot of each position of the sequences in `rows` [B], 0 from `lengths` [B] on."""
        longest = int(lengths.max(initial=0))
        first = self._tables[rows, : -(-longest // self.block_size), None] * self.block_size
        slots = (first + np.arange(self.block_size)).reshape(len(rows), -1)[:, :longest]
        return slots * (np.arange(longest) < lengths[:, None])

    def _update_table(self, sequence: Sequence) -> None:
        shown, count = sequence.num_tabled, len(sequence.blocks)
        if shown < count:
            self._tables[sequence.row, shown:count] = sequence.blocks[shown:]
            sequence.num_tabled = count

    def _tensor(self, array: Ints) -> Tensor:
        return torch.from_numpy(array).to(self.device)


@dataclass(frozen=True)
class _Pass:
    """A forward pass of some work.

    Of each item: how many tokens it computed (`counts`), the position of the first (`starts`), and where that stands in
    the flattened `hidden` [B, S, hidden_size] (`firsts`), in which an item's tokens are neighbours.
    """

    work: list[Work]
    counts: Ints
    starts: Ints
    firsts: Ints
    hidden: Tensor
    meta: AttentionMetadata


def _size(item: Work) -> int:
    return item.num_tokens + (item.draft is not None)


def _new_tokens(item: Work) -> list[int]:
    begin = item.sequence.num_computed
    tokens = item.sequence.token_ids[begin : begin + item.num_tokens]
    return tokens if item.draft is None else [*tokens, item.draft]


def _groups(work: list[Work]) -> Iterator[list[int]]:
    """Items that share a forward pass, by index: all short ones; long ones that are at most half padding."""
    short = [i for i, item in enumerate(work) if _size(item) <= SHORT_PIECE]
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
