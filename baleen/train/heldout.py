"""Held-out loss of a model on fixed rows, dense or sparse, with its indexers or with random ones."""

import copy

import torch

from baleen.data.packing import Packed
from baleen.model import Record, Transformer, with_attention
from baleen.train.losses import token_loss
from baleen.train.supervised import to_batch


def heldout_loss(model: Transformer, rows: Packed, sparse: bool) -> float:
    """Mean next-token cross-entropy over the target tokens, nats."""
    return sum(heldout_losses(model, rows, sparse))


@torch.no_grad()
def heldout_losses(model: Transformer, rows: Packed, sparse: bool) -> list[float]:
    """What each row adds to `heldout_loss`, nats: how much the rows differ says how sure their sum is."""
    batch = to_batch(rows)
    hidden = with_attention(model, sparse).hidden_states(
        batch.token_ids, model.metadata(batch.token_ids, batch.segments)
    )
    tokens = int(batch.targets(1).sum())
    parts = [slice(i, i + 1) for i in range(len(batch.token_ids))]
    return [float(token_loss(model, hidden[part], batch.rows(part), 1)) / tokens for part in parts]


@torch.no_grad()
def indexer_fit(model: Transformer, rows: Packed) -> tuple[float, float]:
    """(KL of dense attention to the indexer in nats, share of its mass inside the indexer's top-k), layers averaged."""
    batch = to_batch(rows)
    record = Record(counted=batch.segments >= 0, index_kl=True)
    with_attention(model, False).hidden_states(
        batch.token_ids, model.metadata(batch.token_ids, batch.segments), record
    )
    return float(torch.stack(record.index_losses).mean()), float(torch.stack(record.index_recalls).mean())


@torch.no_grad()
def with_random_indexers(model: Transformer, generator: torch.Generator) -> Transformer:
    """A copy whose indexers know nothing: what sparse attention costs without the warm-up."""
    twin = copy.deepcopy(model)
    for name, parameter in twin.named_parameters():
        if ".indexer." in name and parameter.ndim == 2:
            parameter.normal_(0.0, parameter.shape[-1] ** -0.5, generator=generator)
    return twin
