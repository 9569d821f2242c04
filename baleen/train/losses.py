"""Losses of supervised training: next token, multi-token prediction, indexer. Pure functions of a model and a batch."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from baleen.model import Record, Transformer


@dataclass(frozen=True)
class Batch:
    """Rows of packed documents.

    token_ids: [B, S] int64. segments: [B, S] int64, one number a document, -1 for padding. loss_mask: [B, S] True
    where the token is a target.
    """

    token_ids: Tensor
    segments: Tensor
    loss_mask: Tensor

    def rows(self, part: slice) -> "Batch":
        return Batch(self.token_ids[part], self.segments[part], self.loss_mask[part])

    def targets(self, ahead: int) -> Tensor:
        """[B, S - ahead] True where the token `ahead` positions later is a target in the same document."""
        same = self.segments[:, ahead:] == self.segments[:, :-ahead]
        return self.loss_mask[:, ahead:] & same

    def totals(self) -> "Totals":
        return Totals(
            targets=max(1, int(self.targets(1).sum())),
            tokens=max(1, int((self.segments >= 0).sum())),
            mtp_tokens=max(1, int((self.segments[:, :-1] >= 0).sum())),
            rows=len(self.token_ids),
        )


@dataclass(frozen=True)
class Totals:
    """What a step's losses are divided by. Counted over the whole batch, however it is split among workers.

    targets: tokens to predict. tokens: all but padding. mtp_tokens: those that the MTP layer sees, all but the last
    column. rows: of the batch.
    """

    targets: int
    tokens: int
    mtp_tokens: int
    rows: int


@dataclass(frozen=True)
class LossWeights:
    """What enters the loss of a stage, and how heavily."""

    lm: float = 1.0
    mtp: float = 0.0  # lambda of V3 (0.3, later 0.1); above 0 the MTP layer's indexer learns with the others
    index_kl: float = 0.0
    balance: float = 0.0  # alpha of the sequence-wise balance loss


def token_loss(model: Transformer, hidden: Tensor, batch: Batch, ahead: int) -> Tensor:
    """Summed cross-entropy (nats) of the tokens `ahead` positions after each hidden state [B, >= S - ahead, d]."""
    mask = batch.targets(ahead)
    logits = model.logits(hidden[:, : mask.shape[1]][mask])
    return cross_entropy(logits, batch.token_ids[:, ahead:][mask], reduction="sum")


def supervised_loss(
    model: Transformer, batch: Batch, weights: LossWeights, totals: Totals
) -> tuple[Tensor, dict[str, float], Record]:
    """The loss of one part of a step's batch, whose `totals` are those of the whole batch.

    Losses, and the numbers returned for the log, add up over the parts to what the whole batch would give: each token
    weighs the same however the rows were split. Returns the loss, its parts and the record of the forward pass.
    """
    counted = batch.segments >= 0
    record = Record(
        counted=counted,
        index_kl=weights.index_kl > 0,
        balance=weights.balance > 0 and weights.lm > 0,
    )
    meta = model.metadata(batch.token_ids, batch.segments)
    # the warm-up freezes everything but the indexers: their loss needs no logits
    hidden = model.hidden_states(batch.token_ids, meta, record)
    loss = hidden.new_zeros(())
    parts: dict[str, float] = {}
    of_tokens = int(counted.sum()) / totals.tokens  # this part's share of the terms averaged over tokens
    of_rows = len(batch.token_ids) / totals.rows  # and of those averaged over sequences

    def add(name: str, value: Tensor, weight: float) -> None:
        nonlocal loss
        loss = loss + weight * value
        parts[name] = value.item()

    if weights.lm:
        add("lm_loss", token_loss(model, hidden, batch, 1) / totals.targets, weights.lm)
    if weights.mtp:
        of_mtp = Record(counted=counted[:, :-1], index_kl=record.index_kl)
        ahead = model.mtp_hidden_states(hidden, batch.token_ids, meta, of_mtp)
        if weights.lm:
            add("mtp_loss", token_loss(model, ahead, batch, 2) / totals.targets, weights.mtp)
        if record.index_kl:
            of_mtp_tokens = int(counted[:, :-1].sum()) / totals.mtp_tokens
            add("mtp_index_kl", of_mtp_tokens * of_mtp.index_losses[0], weights.index_kl)
    if record.index_kl:
        add("index_kl", of_tokens * torch.stack(record.index_losses).mean(), weights.index_kl)
    if record.index_recalls:
        parts["index_recall"] = of_tokens * torch.stack(record.index_recalls).mean().item()
    if record.balance:
        add("balance_loss", of_rows * torch.stack(record.balance_losses).mean(), weights.balance)
    parts["loss"] = loss.item()
    return loss, parts, record
