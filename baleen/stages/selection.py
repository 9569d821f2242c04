"""What the indexer selects on real text and on a task, layer by layer, recorded for the report."""

import base64
import random
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baleen.chat import Tokenizer
from baleen.data import conversation_document
from baleen.environments import demonstrate, sample_task
from baleen.model import AttentionMetadata, LatentCache, Paged, Transformer

TEXT_LENGTH = 3  # times index_topk
RECENT_QUERIES = 96  # a page lets its reader choose among the last so many


def selection(model: Transformer, tokenizer: Tokenizer, text: Sequence[int], seed: int) -> dict[str, Any]:
    """The selection on real text and on a solved look-up task.

    Args:
        model: a sparse model.
        tokenizer: its tokenizer.
        text: token ids of real text, which is cut to `TEXT_LENGTH` times index_topk.
        seed: of the look-up task.

    Returns:
        `index_topk` and `documents`: for each its `title`, its `tokens` as text and what `selection_of` returns. A
        document that is not longer than index_topk is left out, because all of it is read.
    """
    config = model.config
    task = sample_task("lookup", 2, random.Random(seed), "heldout")
    solved = conversation_document(tokenizer, [*task.messages, *demonstrate(task, "full")], "thinking")
    documents = {
        "Held-out real text": list(text[: TEXT_LENGTH * config.index_topk]),
        "A solved look-up task": solved.token_ids,
    }
    return {
        "index_topk": config.index_topk,
        "documents": [
            {"title": title, "tokens": [tokenizer.decode([i]) for i in ids]} | selection_of(model, ids)
            for title, ids in documents.items()
            if len(ids) > config.index_topk
        ],
    }


@torch.inference_mode()
def selection_of(model: Transformer, token_ids: Sequence[int]) -> dict[str, Any]:
    """What each token of one sequence of S tokens reads under the sparse model.

    Args:
        model: a sparse model.
        token_ids: the sequence.

    Returns:
        `queries`, positions that a reader may choose; `shown`, the one whose dense attention looks back furthest; and
        `layers`, for each layer

        - `selected`: bits [S, S], whether the query (row) reads the key (column), as the model itself recorded it;
        - `mass`: uint8 [S, S], what dense attention would give the key from the same hidden states, averaged over the
          heads, 255 for all of it;
        - `recall`: the share of that mass inside the selection, averaged over the queries that must choose;
        - `scores`: the index scores of the query `shown`.

        Arrays are packed by `pack_array`.
    """
    config, size = model.config, len(token_ids)
    selected, layers = _forward(model, token_ids)
    observed = [layer.observe(*inputs) for layer, inputs in layers]
    mass = torch.stack([found[0] for _, found in observed])  # [L, S, S]
    queries = range(max(config.index_topk, size - RECENT_QUERIES), size)
    shown = _furthest(mass, queries, config.index_topk)
    must_choose = torch.arange(size) >= config.index_topk
    return {
        "queries": list(queries),
        "shown": shown,
        "layers": [
            {
                "selected": pack_array(np.packbits(chosen.numpy(), axis=1)),
                "mass": pack_array((255 * share).round().to(torch.uint8).numpy()),
                "recall": round(float((share * chosen).sum(-1)[must_choose].mean()), 4),
                "scores": [round(float(score), 4) for score in scores[0, shown, : shown + 1]],
            }
            for chosen, share, (scores, _) in zip(selected, mass, observed, strict=True)
        ],
    }


def pack_array(array: NDArray[np.uint8]) -> str:
    """The bytes of an array, row by row, compressed by zlib and encoded in base64."""
    return base64.b64encode(zlib.compress(array.tobytes(), 9)).decode("ascii")


def _forward(
    model: Transformer, token_ids: Sequence[int]
) -> tuple[Tensor, list[tuple[Any, tuple[Tensor, Tensor, Tensor]]]]:
    """The recorded selection [L, S, S], and of each layer its attention and what that was called with."""
    config, size = model.config, len(token_ids)
    cache = LatentCache(config, 1 + size, record_selection=True)
    slots = torch.arange(1, 1 + size).unsqueeze(0)
    meta = AttentionMetadata(torch.arange(size).unsqueeze(0), paged=Paged(cache, slots, slots))
    called: list[tuple[Any, tuple[Tensor, Tensor, Tensor]]] = []
    layers = model.model.layers[: config.num_hidden_layers]
    hooks = [
        layer.get_submodule("self_attn").register_forward_pre_hook(
            lambda module, given: called.append((module, given[:3]))
        )
        for layer in layers
    ]
    try:
        model.hidden_states(torch.tensor([list(token_ids)]), meta)
    finally:
        for hook in hooks:
            hook.remove()
    assert cache.selected is not None, "the cache was asked to record"
    read = cache.selected[slots[0]].transpose(0, 1).long()  # [L, S, K]
    # one column more takes the paddings, so that they mark no position
    marks = torch.zeros(config.num_hidden_layers, size, size + 1, dtype=torch.bool)
    marks.scatter_(-1, torch.where(read < 0, size, read), True)
    return marks[..., :size], called


def _furthest(mass: Tensor, queries: range, recent: int) -> int:
    """Which of `queries` gives most of its mass [L, S, S] to what lies further back than the last `recent` tokens."""
    back = torch.arange(mass.shape[-1])
    old = back.unsqueeze(-1) - back >= recent
    old[:, 0] = False  # the first token takes what no other wants
    share = (mass * old).sum(-1).mean(0)
    return max(queries, key=lambda query: float(share[query]))
