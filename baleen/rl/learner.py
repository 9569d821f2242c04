"""One step of GRPO on a step's rollouts: the loss of each part, its gradient, the optimiser."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from baleen.config.stages import RLStage
from baleen.model import Record, Transformer, pack
from baleen.rl.exact import exact_log_probabilities, with_value
from baleen.rl.loss import Policies, grpo_loss
from baleen.rl.rollout import PackedRollouts, Rollout, pack_rollouts
from baleen.train.optim import Optimisers
from baleen.train.supervised import main_names
from baleen.train.workers import Workers, clip_gradients

PIECE = 4096  # tokens that one worker takes at a time: bounds the memory of a step
_PER_UPDATE = ("clipped", "offpolicy_masked")


class Learner:
    """The policy in training, its optimisers, and the reference policy, None where no KL is wanted.

    The indexers are frozen, since no loss reaches them; so is the MTP layer, unless `mtp_loss_weight` trains it along.
    """

    def __init__(
        self, model: Transformer, reference: Transformer | None, stage: RLStage, workers: Workers
    ) -> None:
        self.model, self.reference, self.stage, self._workers = model, reference, stage, workers
        self._mtp = stage.mtp_loss_weight if model.config.num_nextn_predict_layers else 0.0
        main = main_names(model)
        names = {name for name, _ in model.named_parameters()} if self._mtp else main
        names = {name for name in names if ".indexer." not in name}
        self.optimisers = Optimisers(model, names, 0.0, stage.adam_lr, stage.steps)
        parameters = dict(model.named_parameters())
        self._clipped_together = [
            [parameters[name] for name in sorted(part)] for part in (names & main, names - main) if part
        ]

    def learn(self, rollouts: Sequence[Rollout], count: int, step: int) -> dict[str, float]:
        """`stage.updates` optimiser steps, each on its share of the rollouts. Returns their scalars.

        count: sequences of the step that the loss is averaged over; those beyond `rollouts` have a loss of 0.
        """
        if not rollouts:
            return {}
        updates = self.stage.updates
        shares = [rollouts[i::updates] for i in range(updates)]
        done = [self._update(share, count / updates, step) for share in shares if share]
        scalars = {name: sum(each[name] for each in done) / len(done) for name in done[0]}
        # before the first update the trainer holds the engine's weights: what differs there is mismatch alone
        scalars["mean_abs_dlogp"] = done[0]["mean_abs_dlogp"]
        scalars["last_abs_dlogp"] = done[-1]["mean_abs_dlogp"]
        scalars["max_abs_dlogp"] = max(each["max_abs_dlogp"] for each in done)
        if updates > 1:
            for i, each in enumerate(done, 1):
                scalars |= {f"{name}_{i}": each[name] for name in _PER_UPDATE}
        return scalars

    def _update(self, rollouts: Sequence[Rollout], count: float, step: int) -> dict[str, float]:
        vocab = self.model.config.vocab_size
        pieces = -(-sum(len(rollout.token_ids) for rollout in rollouts) // PIECE)
        parts = min(max(self._workers.count, pieces), len(rollouts))
        packed_parts = [pack_rollouts(rollouts[i::parts], vocab) for i in range(parts)]
        tokens = sum(len(part.old_logprobs) for part in packed_parts)
        packed = pack(self.model, "float32") if self.stage.deterministic else None

        def loss_of(part: PackedRollouts) -> tuple[Tensor, dict[str, Tensor]]:
            loss, mtp, watched = self.loss(part, packed)
            return loss / count + self._mtp * mtp / tokens, watched

        results = self._workers.gradients(loss_of, packed_parts, self.optimisers.params)
        values = {name: torch.cat([watched[name] for watched in results]) for name in results[0]}
        scalars = {name: float(value.mean()) for name, value in values.items()}
        scalars["max_abs_dlogp"] = float(values["max_abs_dlogp"].max())
        norms = [clip_gradients(params, self.stage.clip_norm) for params in self._clipped_together]
        scalars["grad_norm"] = norms[0]
        scalars["lr"] = self.optimisers.step(step)
        return scalars

    def loss(
        self, part: PackedRollouts, packed: Transformer | None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """GRPO's loss summed over the rollouts of `part`, the MTP layer's over its tokens, and values for the log.

        `packed` is the same model for the engine's bits, where they are wanted.
        """
        stage = self.stage
        hidden = hidden_states(self.model, part, stage)
        logits = sampled_logits(self.model, hidden, part, stage)
        new = log_probabilities(logits, part, stage)
        if packed is not None:
            new = with_value(new, exact_log_probabilities(packed, part, stage))
        reference = None
        with torch.no_grad():
            full = logits.log_softmax(-1)  # the entropy is of the uncut distribution
            entropy = -(full.exp() * full).sum(-1)
            if self.reference is not None:
                theirs = hidden_states(self.reference, part, stage)
                reference = log_probabilities(
                    sampled_logits(self.reference, theirs, part, stage), part, stage
                )
        loss, watched = grpo_loss(
            Policies(new, part.old_logprobs, reference),
            part.sequence,
            part.advantages,
            clip=stage.clip,
            kl=stage.kl,
            delta=stage.off_policy_delta,
            unbiased=stage.unbiased_kl,
        )
        watched |= {"entropy": entropy, "max_abs_dlogp": (new.detach() - part.old_logprobs).abs()}
        mtp = new.new_zeros(())
        if self._mtp:
            mtp, tokens = mtp_loss(self.model, hidden, part)
            watched["mtp_loss"] = (mtp.detach() / max(1, tokens)).view(1)
        return loss, mtp, watched


def hidden_states(model: Transformer, part: PackedRollouts, stage: RLStage) -> Tensor:
    """[B, S, hidden_size] of the rollouts' rows. Keep routing: the engine's experts are enforced."""
    record = Record(
        counted=part.segments >= 0,
        replay_experts=part.routed_experts if stage.keep_routing else None,
        replay_selected=part.selected if stage.keep_selection else None,
    )
    return model.hidden_states(part.token_ids, model.metadata(part.token_ids, part.segments), record)


def sampled_logits(model: Transformer, hidden: Tensor, part: PackedRollouts, stage: RLStage) -> Tensor:
    """Logits [N, V] that each sampled token is drawn from."""
    return model.logits(hidden[part.rows, part.columns]) / stage.temperature


def log_probabilities(logits: Tensor, part: PackedRollouts, stage: RLStage) -> Tensor:
    """Log-probability [N] of each sampled token under `logits` [N, V], nats.

    Keep sampling mask: renormalised over what top-p had left, so that both policies choose among the same tokens.
    """
    if stage.keep_sampling_mask and part.kept is not None:
        logits = logits.masked_fill(~part.kept, -torch.inf)
    return logits.log_softmax(-1).gather(1, part.targets.unsqueeze(1)).squeeze(1)


def mtp_loss(model: Transformer, hidden: Tensor, part: PackedRollouts) -> tuple[Tensor, int]:
    """Summed cross-entropy (nats) of the sampled tokens under the MTP layer, and how many there are.

    Its gradient reaches the MTP layer alone: the layer follows the policy, so that it goes on drafting well, and
    the policy does not feel it.
    """
    ahead = model.mtp_hidden_states(
        hidden, part.token_ids, model.metadata(part.token_ids, part.segments), alone=True
    )
    rows, before = part.rows, part.columns - 1  # where the hidden states stand that predict two tokens ahead
    same = part.segments[rows, before.clamp(min=0)] == part.segments[rows, part.columns]
    known = (before >= 0) & same
    logits = linear(ahead[rows[known], before[known]], model.lm_head.weight.detach()).float()
    return cross_entropy(logits, part.targets[known], reduction="sum"), int(known.sum())
