"""How long a decode step takes against the position in the context, dense and sparse (V3.2 report, fig. 3)."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from baleen.config import ModelConfig
from baleen.model import (
    AttentionMetadata,
    LatentCache,
    Paged,
    Record,
    Transformer,
    can_prepack,
    prepack,
    with_attention,
)

POSITIONS = (0.5, 1, 2, 4, 8, 16, 32, 64, 128)  # times index_topk
SEQUENCES = 16  # decoded together, as many as the cache below holds
CACHED_TOKENS = 1 << 17
ROUNDS = 21
WARM_UP = 2  # rounds that are not counted


def decode_cost(model: Transformer) -> dict[str, Any]:
    """Measure a decode step at each position, dense and sparse in turns within each round, on one thread.

    The cache holds random numbers: how many there are costs time, not which. Positions may exceed
    `max_position_embeddings`: rotary angles exist for any. Processor time leaves out the waiting for other processes of
    a busy machine; waiting for memory counts.

    Returns:
        `ms` has milliseconds of processor time, a list of rounds for each position, for "dense" and "dsa": the whole
        "step", and "attention" with its projections and the indexer. "given" is DSA that is told what to read, without
        the indexer's scores and the selection; it is measured with the CPU kernels alone. `kernels` says whether these
        or plain PyTorch computed.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _measured(model)
    finally:
        torch.set_num_threads(threads)


def _measured(model: Transformer) -> dict[str, Any]:
    config = model.config
    kernels = can_prepack()
    twins = {name: with_attention(model, name == "dsa") for name in ("dense", "dsa")}
    if kernels:
        twins = {name: prepack(twin, "float32") for name, twin in twins.items()}
        twins["given"] = twins["dsa"]
    positions = [round(times * config.index_topk) for times in POSITIONS]
    sequences = max(1, min(SEQUENCES, CACHED_TOKENS // positions[-1]))
    ms: dict[str, dict[str, list[list[float]]]] = {name: {"step": [], "attention": []} for name in twins}
    for position in positions:
        rounds = _Rounds(config, sequences, position)
        for parts in ms.values():
            for values in parts.values():
                values.append([])
        for number in range(WARM_UP + ROUNDS):
            for name, twin in twins.items():
                step, attention = rounds.time(twin, given=name == "given")
                if number >= WARM_UP:
                    ms[name]["step"][-1].append(round(step, 4))
                    ms[name]["attention"][-1].append(round(attention, 4))
    return {
        "index_topk": config.index_topk,
        "positions": positions,
        "sequences": sequences,
        "kernels": kernels,
        "ms": ms,
    }


class _Rounds:
    """Decode steps of `sequences` sequences, each the last of `position` tokens."""

    def __init__(self, config: ModelConfig, sequences: int, position: int):
        generator = torch.Generator().manual_seed(0)
        self._cache = LatentCache(config, 1 + sequences * position)
        for tensor in (*self._cache.kv, *self._cache.index_k):
            tensor.normal_(generator=generator)
        self._slots = 1 + torch.arange(sequences * position).view(sequences, position)
        self._position = position
        some = torch.randperm(position, generator=generator)[: config.index_topk].sort().values
        self._some = some.expand(sequences, 1, config.num_hidden_layers, -1)

    @torch.inference_mode()
    def time(self, model: Transformer, given: bool) -> tuple[float, float]:
        """Milliseconds of one step, and of its attention. given: read positions that are fixed beforehand."""
        paged = Paged(self._cache, self._slots[:, -1:], self._slots)
        meta = AttentionMetadata(torch.full((len(self._slots), 1), self._position - 1), paged=paged)
        record = Record(replay_selected=self._some) if given else None
        token_ids = torch.zeros(len(self._slots), 1, dtype=torch.int64)
        with _attention_seconds(model) as attention:
            start = time.thread_time()
            model.logits(model.hidden_states(token_ids, meta, record))
            step = time.thread_time() - start
        return 1e3 * step, 1e3 * sum(attention)


@contextmanager
def _attention_seconds(model: Transformer) -> Iterator[list[float]]:
    """The seconds that each layer's attention took while the context was open."""
    spans: list[float] = []

    def begin(*_: Any) -> None:
        spans.append(-time.thread_time())

    def end(*_: Any) -> None:
        spans[-1] += time.thread_time()

    layers = model.model.layers[: model.config.num_hidden_layers]
    hooks = [layer.get_submodule("self_attn").register_forward_pre_hook(begin) for layer in layers]
    hooks += [layer.get_submodule("self_attn").register_forward_hook(end) for layer in layers]
    try:
        yield spans
    finally:
        for hook in hooks:
            hook.remove()
