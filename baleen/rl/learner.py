"""One step of GRPO on a step's samples: the loss of each micro-batch, its gradient, the optimizer."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, linear

from baleen.agent import TrainingSample
from baleen.config.stages import RLStage
from baleen.model import Record, Transformer, prepack
from baleen.rl.batch import RolloutBatch, collate
from baleen.rl.bitwise import bitwise_logprobs, straight_through
from baleen.rl.loss import Logprobs, grpo_loss
from baleen.train.optim import Optimizers
from baleen.train.supervised import main_names
from baleen.train.workers import Workers, clip_gradients

MICRO_BATCH_TOKENS = 4096  # per worker, to bound the memory of a step
_PER_UPDATE = ("clipped", "offpolicy_masked")


class Learner:
    """The policy in training, its optimizers, and the reference policy (None without a KL).

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
        self.optimizers = Optimizers(model, names, 0.0, stage.adam_lr, stage.steps)
        parameters = dict(model.named_parameters())
        self._clipped_together = [
            [parameters[name] for name in sorted(part)] for part in (names & main, names - main) if part
        ]

    def learn(self, samples: Sequence[TrainingSample], count: int, step: int) -> dict[str, float]:
        """Take `stage.updates` optimizer steps, each on its share of the samples, and return their metrics.

        count: number of samples that the loss of the step is averaged over; those beyond `samples` have a loss of 0.
        """
        if not samples:
            return {}
        updates = self.stage.updates
        shares = [samples[i::updates] for i in range(updates)]
        done = [self._update(share, count / updates, step) for share in shares if share]
        metrics = {name: sum(each[name] for each in done) / len(done) for name in done[0]}
        # Before the first update the trainer holds the engine's weights: what differs there is mismatch alone.
        metrics["mismatch_abs_logprob"] = done[0]["mismatch_abs_logprob"]
        metrics["drift_abs_logprob"] = done[-1]["mismatch_abs_logprob"]
        metrics["max_abs_logprob"] = max(each["max_abs_logprob"] for each in done)
        if updates > 1:
            for i, each in enumerate(done, 1):
                metrics |= {f"{name}_{i}": each[name] for name in _PER_UPDATE}
        return metrics

    def _update(self, samples: Sequence[TrainingSample], count: float, step: int) -> dict[str, float]:
        vocab = self.model.config.vocab_size
        pieces = -(-sum(len(sample.token_ids) for sample in samples) // MICRO_BATCH_TOKENS)
        parts = min(max(self._workers.count, pieces), len(samples))
        micro_batches = [collate(samples[i::parts], vocab) for i in range(parts)]
        tokens = sum(len(batch.rollout_logprobs) for batch in micro_batches)
        packed = prepack(self.model, "float32") if self.stage.deterministic else None

        def loss_of(batch: RolloutBatch) -> tuple[Tensor, dict[str, Tensor]]:
            loss, mtp, metrics = self.loss(batch, packed)
            return loss / count + self._mtp * mtp / tokens, metrics

        results = self._workers.gradients(loss_of, micro_batches, self.optimizers.params)
        values = {name: torch.cat([metrics[name] for metrics in results]) for name in results[0]}
        metrics = {name: float(value.mean()) for name, value in values.items()}
        metrics["max_abs_logprob"] = float(values["max_abs_logprob"].max())
        norms = [clip_gradients(params, self.stage.clip_norm) for params in self._clipped_together]
        metrics["grad_norm"] = norms[0]
        metrics["lr"] = self.optimizers.step(step)
        return metrics

    def loss(
        self, batch: RolloutBatch, packed: Transformer | None
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """GRPO's loss summed over the samples, the MTP layer's summed over the tokens, and metrics.

        packed: the same model through the engine's kernels, if its log-probabilities are to be the engine's bits.
        """
        stage = self.stage
        hidden = hidden_states(self.model, batch, stage)
        logits = sampled_logits(self.model, hidden, batch, stage)
        trainer = sampled_logprobs(logits, batch, stage)
        if packed is not None:
            trainer = straight_through(trainer, bitwise_logprobs(packed, batch, stage))
        ref = None
        with torch.no_grad():
            full = logits.log_softmax(-1)
            entropy = -(full.exp() * full).sum(-1)  # of the distribution before the sampling mask
            if self.reference is not None:
                hidden_ref = hidden_states(self.reference, batch, stage)
                ref = sampled_logprobs(sampled_logits(self.reference, hidden_ref, batch, stage), batch, stage)
        loss, metrics = grpo_loss(
            Logprobs(trainer, batch.rollout_logprobs, ref),
            batch.sequence,
            batch.advantages,
            clip=stage.clip,
            kl=stage.kl,
            delta=stage.off_policy_delta,
            unbiased=stage.unbiased_kl,
        )
        metrics |= {
            "entropy": entropy,
            "max_abs_logprob": (trainer.detach() - batch.rollout_logprobs).abs(),
        }
        mtp = trainer.new_zeros(())
        if self._mtp:
            mtp, tokens = mtp_loss(self.model, hidden, batch)
            metrics["mtp_loss"] = (mtp.detach() / max(1, tokens)).view(1)
        return loss, mtp, metrics


def hidden_states(model: Transformer, batch: RolloutBatch, stage: RLStage) -> Tensor:
    """[B, S, hidden_size] of the rows, with the engine's experts and positions enforced as `stage` says."""
    record = Record(
        counted=batch.segments >= 0,
        replay_experts=batch.experts if stage.keep_routing else None,
        replay_selected=batch.selected if stage.keep_selection else None,
    )
    return model.hidden_states(batch.token_ids, model.metadata(batch.token_ids, batch.segments), record)


def sampled_logits(model: Transformer, hidden: Tensor, batch: RolloutBatch, stage: RLStage) -> Tensor:
    """Logits [N, V] that each sampled token is drawn from."""
    return model.logits(hidden[batch.rows, batch.columns]) / stage.temperature


def sampled_logprobs(logits: Tensor, batch: RolloutBatch, stage: RLStage) -> Tensor:
    """Log-probability [N] of each sampled token under `logits` [N, V], nats.

    Keep sampling mask: renormalized over what top-p had left, so that both policies choose among the same tokens.
    """
    if stage.keep_sampling_mask and batch.sampling_mask is not None:
        logits = logits.masked_fill(~batch.sampling_mask, -torch.inf)
    return logits.log_softmax(-1).gather(1, batch.targets.unsqueeze(1)).squeeze(1)


def mtp_loss(model: Transformer, hidden: Tensor, batch: RolloutBatch) -> tuple[Tensor, int]:
    """Summed cross-entropy (nats) of the sampled tokens under the MTP layer, and how many there are.

    Its gradient reaches the MTP layer alone: the layer follows the policy, so that it goes on drafting well, and
    does not change it.
    """
    ahead = model.mtp_hidden_states(
        hidden, batch.token_ids, model.metadata(batch.token_ids, batch.segments), alone=True
    )
    rows, before = (
        batch.rows,
        batch.columns - 1,
    )  # where the hidden states stand that predict two tokens ahead
    same = batch.segments[rows, before.clamp(min=0)] == batch.segments[rows, batch.columns]
    known = (before >= 0) & same
    logits = linear(ahead[rows[known], before[known]], model.lm_head.weight.detach()).float()
    return cross_entropy(logits, batch.targets[known], reduction="sum"), int(known.sum())
