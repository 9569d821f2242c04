"""GRPO's objective and what keeps it stable (V3.2 report, sec. 3.1). Pure functions of log-probabilities."""

from dataclasses import dataclass

import torch
from torch import Tensor

# N sampled tokens of R sequences; `sequence` [N] says which token belongs to which.


@dataclass(frozen=True)
class Logprobs:
    """Log-probabilities [N] of the sampled tokens, in nats.

    Attributes:
        trainer: under pi_theta, with the gradient.
        rollout: under pi_old, as the engine sampled them.
        ref: under pi_ref; None without a KL.
    """

    trainer: Tensor
    rollout: Tensor
    ref: Tensor | None


def unbiased_kl(trainer: Tensor, rollout: Tensor, ref: Tensor) -> Tensor:
    """r (pi_ref/pi_theta - ln(pi_ref/pi_theta) - 1) per token, r = pi_theta/pi_old, with the gradient through r.

    Without r the gradient of K3 is biased, and unbounded where pi_theta is far below pi_ref (report, eq. 7).
    """
    return (trainer - rollout).exp() * biased_kl(trainer, ref)


def biased_kl(trainer: Tensor, ref: Tensor) -> Tensor:
    """K3 per token: pi_ref/pi_theta - ln(pi_ref/pi_theta) - 1."""
    log_ratio = ref - trainer
    return log_ratio.exp() - log_ratio - 1


def sequence_means(values: Tensor, sequence: Tensor, count: int) -> Tensor:
    """Mean of `values` [N] over the tokens of each of `count` sequences: [R]."""
    zeros = values.new_zeros(count)
    sizes = zeros.index_add(0, sequence, torch.ones_like(values)).clamp(min=1)
    return zeros.index_add(0, sequence, values) / sizes


def off_policy_sequence_mask(
    trainer: Tensor, rollout: Tensor, sequence: Tensor, advantages: Tensor, delta: float
) -> Tensor:
    """[R] 0 where the advantage is negative and mean ln(pi_old/pi_theta) > delta, else 1 (report, eq. 8-9).

    Pushing down a bad sequence that the policy would hardly sample any more teaches nothing and destabilizes it.
    """
    drift = sequence_means((rollout - trainer).detach(), sequence, len(advantages))
    return 1.0 - ((advantages < 0) & (drift > delta)).to(trainer.dtype)


def grpo_loss(
    logprobs: Logprobs,
    sequence: Tensor,
    advantages: Tensor,
    *,
    clip: float,
    kl: float,
    delta: float,
    unbiased: bool,
) -> tuple[Tensor, dict[str, Tensor]]:
    """-min(r A, clip(r, 1 - eps, 1 + eps) A) M + beta KL, r = pi_theta/pi_old with the engine's pi_old.

    Returns:
        The sum over sequences of the mean token loss (the caller divides by the number of sequences of the step), and
        metrics [R], per sequence. delta 0 leaves M = 1.
    """
    count = len(advantages)
    trainer, rollout = logprobs.trainer, logprobs.rollout
    ratio = (trainer - rollout).exp()
    advantage = advantages[sequence]
    clipped = ratio.clamp(1 - clip, 1 + clip)
    surrogate = torch.minimum(ratio * advantage, clipped * advantage)
    mask = torch.ones_like(advantages)
    if delta:
        mask = off_policy_sequence_mask(trainer, rollout, sequence, advantages, delta)
    token_loss = -surrogate * mask[sequence]
    metrics = {
        "mismatch_abs_logprob": sequence_means((trainer - rollout).detach().abs(), sequence, count),
        "clipped": sequence_means(
            (ratio * advantage > clipped * advantage).to(trainer.dtype), sequence, count
        ),
        "offpolicy_masked": 1 - mask,
    }
    if logprobs.ref is not None and kl:
        divergence = (
            unbiased_kl(trainer, rollout, logprobs.ref) if unbiased else biased_kl(trainer, logprobs.ref)
        )
        token_loss = token_loss + kl * divergence
        metrics["kl"] = sequence_means(divergence.detach(), sequence, count)
    return sequence_means(token_loss, sequence, count).sum(), metrics
