"""Runs the model on a step's work: block tables to slots, tokens to logits."""

import numpy as np
import torch
from numpy.typing import NDArray

from baleen.config.engine import EngineConfig
from baleen.engine.scheduler import Work
from baleen.engine.sequence import Sequence
from baleen.model import AttentionMetadata, LatentCache, Transformer


class Runner:
    """Owns the cache and the block tables of the running sequences."""

    def __init__(self, model: Transformer, config: EngineConfig):
        self.model = model
        self.config = config
        weight = model.lm_head.weight
        self.cache = LatentCache(model.config, config.num_blocks * config.block_size, weight.dtype, weight.device)
        blocks = -(-config.max_model_len // config.block_size)
        self._tables = np.zeros((config.max_num_seqs, blocks), np.int64)
        self._owners: list[list[int] | None] = [None] * config.max_num_seqs  # whose blocks a row shows
        self._filled = [0] * config.max_num_seqs

    def run(self, work: list[Work]) -> NDArray[np.float32]:
        """Compute the work's tokens and cache them. Returns logits [len(work), vocab] after each last one."""
        for item in work:
            self._update_table(item.sequence)
        starts = np.array([item.sequence.num_computed for item in work])
        counts = np.array([item.num_tokens for item in work])
        rows = np.array([item.sequence.row for item in work])
        width = int(counts.max())
        token_ids = np.zeros((len(work), width), np.int64)
        for i, item in enumerate(work):
            begin = item.sequence.num_computed
            token_ids[i, : item.num_tokens] = item.sequence.token_ids[begin : begin + item.num_tokens]
        offsets = np.arange(width)
        real = offsets < counts[:, None]
        positions = np.where(real, starts[:, None] + offsets, 0)
        context = self._slots(rows, np.arange(int((starts + counts).max())))
        context[np.arange(context.shape[1]) >= (starts + counts)[:, None]] = 0
        slots = np.where(real, np.take_along_axis(context, positions, 1), 0)
        meta = AttentionMetadata(
            torch.from_numpy(positions),
            slot_mapping=torch.from_numpy(slots),
            context_slots=torch.from_numpy(context),
            cache=self.cache,
        )
        with torch.no_grad():
            hidden = self.model.hidden_states(torch.from_numpy(token_ids), meta)
            last = hidden[torch.arange(len(work)), torch.from_numpy(counts - 1)]
            logits: NDArray[np.float32] = self.model.logits(last).numpy()
        return logits

    def routed_experts(self, sequence: Sequence) -> NDArray[np.int16]:
        """int16 [tokens - 1, n_moe_layers, k]: the experts of every token of the sequence that was an input."""
        slots = self._slots(np.array([sequence.row]), np.arange(len(sequence.token_ids) - 1))[0]
        experts: NDArray[np.int16] = self.cache.routed_experts[torch.from_numpy(slots)].numpy()
        return experts

    def _update_table(self, sequence: Sequence) -> None:
        row = sequence.row
        if self._owners[row] is not sequence.blocks:  # a sequence gets a new list each time it is admitted
            self._owners[row], self._filled[row] = sequence.blocks, 0
        filled, count = self._filled[row], len(sequence.blocks)
        if filled < count:
            self._tables[row, filled:count] = sequence.blocks[filled:]
            self._filled[row] = count

    def _slots(self, rows: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int64]:
        size = self.config.block_size
        return self._tables[rows[:, None], positions // size] * size + positions % size
