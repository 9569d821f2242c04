"""Runs the model on a step's work: block tables to slots, tokens to logits."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baleen.config.engine import EngineConfig
from baleen.engine.scheduler import Work
from baleen.engine.sequence import Sequence
from baleen.model import AttentionMetadata, LatentCache, Paged, Transformer, pack
from baleen.ops import cpu

# Pieces of a prompt up to this long join the forward pass of the sequences that sample, with a row for each
# token: a pass of their own would mostly be overhead.
SHORT_PIECE = 32

Ints = NDArray[np.int64]


def packed_if_possible(model: Transformer, config: EngineConfig) -> Transformer:
    """`model` packed as the config asks, or as it is where the kernels cannot be had; they say so themselves."""
    if config.weights is None or not cpu.available():
        return model
    return pack(model, config.weights)


class Runner:
    """Owns the cache and the block tables of the running sequences."""

    def __init__(self, model: Transformer, config: EngineConfig, max_model_len: int):
        self.model = model
        self.block_size = config.block_size
        weight = next(model.parameters())  # the embedding
        self.device = weight.device
        # packed weights below float32: what is cached is rounded as they are, and read twice as fast
        dtype = torch.bfloat16 if config.weights in ("bfloat16", "int8") else weight.dtype
        self.cache = LatentCache(model.config, config.num_blocks * config.block_size, dtype, self.device)
        self._tables = np.zeros((config.max_num_seqs, -(-max_model_len // config.block_size)), np.int64)

    def run(self, work: list[Work]) -> NDArray[np.float32]:
        """Compute the work's tokens and cache them. Returns logits [items that sample, vocab] in order."""
        for item in work:
            self._update_table(item.sequence)
        sampling = [i for i, item in enumerate(work) if item.samples]
        logits = np.empty((len(work), self.model.config.vocab_size), np.float32)
        for group in _groups(work):
            run = self._token_rows if work[group[0]].num_tokens <= SHORT_PIECE else self._padded_rows
            logits[[i for i in group if work[i].samples]] = run([work[i] for i in group])
        return logits if len(sampling) == len(work) else logits[sampling]

    def routed_experts(self, sequence: Sequence) -> NDArray[np.int16]:
        """int16 [tokens, n_moe_layers, k]: the experts of the sequence's computed tokens."""
        length = sequence.num_computed
        slots = self._context(np.array([sequence.row]), np.array([length]))[0]
        experts: NDArray[np.int16] = self.cache.routed_experts[self._tensor(slots)].cpu().numpy()
        return experts

    def _token_rows(self, work: list[Work]) -> NDArray[np.float32]:
        """One forward pass with a row for each token: [tokens, 1]."""
        counts = np.array([item.num_tokens for item in work])
        ends = counts.cumsum()
        starts = np.array([item.sequence.num_computed for item in work])
        rows = np.array([item.sequence.row for item in work])
        positions = np.arange(ends[-1]) + np.repeat(starts - ends + counts, counts)
        last = ends[[item.samples for item in work]] - 1
        return self._forward(
            np.concatenate([_new_tokens(item) for item in work])[:, None],
            positions[:, None],
            np.repeat(rows, counts),
            lengths=positions + 1,
            last=(last, np.zeros_like(last)),
        )

    def _padded_rows(self, work: list[Work]) -> NDArray[np.float32]:
        """One forward pass with a row for each sequence: [len(work), longest piece]."""
        counts = np.array([item.num_tokens for item in work])
        starts = np.array([item.sequence.num_computed for item in work])
        token_ids = np.zeros((len(work), counts.max()), np.int64)
        for i, item in enumerate(work):
            token_ids[i, : item.num_tokens] = _new_tokens(item)
        offsets = np.arange(token_ids.shape[1])
        samples = np.flatnonzero([item.samples for item in work])
        return self._forward(
            token_ids,
            np.where(offsets < counts[:, None], starts[:, None] + offsets, -1),
            np.array([item.sequence.row for item in work]),
            lengths=starts + counts,
            last=(samples, counts[samples] - 1),
        )

    def _forward(
        self, token_ids: Ints, positions: Ints, rows: Ints, lengths: Ints, last: tuple[Ints, Ints]
    ) -> NDArray[np.float32]:
        """Logits [len(last[0]), vocab] after the tokens at `last` (row, column).

        `token_ids`, `positions` [B, S], a position of -1 being padding; `rows` [B] of the block table;
        `lengths` [B] of the contexts, new tokens included.
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
            hidden = self.model.hidden_states(self._tensor(token_ids), meta)
            logits = self.model.logits(hidden[self._tensor(last[0]), self._tensor(last[1])])
        result: NDArray[np.float32] = logits.cpu().numpy()
        return result

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


def _new_tokens(item: Work) -> list[int]:
    begin = item.sequence.num_computed
    return item.sequence.token_ids[begin : begin + item.num_tokens]


def _groups(work: list[Work]) -> Iterator[list[int]]:
    """Items that share a forward pass, by index: all short ones; long ones that are at most half padding."""
    short = [i for i, item in enumerate(work) if item.num_tokens <= SHORT_PIECE]
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
