"""GRPO's objective and what keeps it stable (V3.2 report, sec. 3.1). Pure functions of log-probabilities."""

from dataclasses import dataclass

import torch
from torch import Tensor

# N sampled tokens of R sequences; `sequence` [N] says which token belongs to which.


@dataclass(frozen=True)
class Policies:
    """Log-probabilities [N] of the sampled tokens: pi_theta's carry the gradient.

    old: what the engine sampled with. reference: None where no KL is wanted.
    """

    new: Tensor
    old: Tensor
    reference: Tensor | None


def unbiased_kl(new: Tensor, old: Tensor, reference: Tensor) -> Tensor:
    """r (pi_ref/pi_theta - ln(pi_ref/pi_theta) - 1) a token, r = pi_theta/pi_old, with the gradient through r.

    Without r the gradient of K3 is biased, and unbounded where pi_theta is far below pi_ref (report, eq. 7).
    """
    return (new - old).exp() * biased_kl(new, reference)


def biased_kl(new: Tensor, reference: Tensor) -> Tensor:
    """K3 a token: pi_ref/pi_theta - ln(pi_ref/pi_theta) - 1."""
    log_ratio = reference - new
    return log_ratio.exp() - log_ratio - 1


def sequence_means(values: Tensor, sequence: Tensor, count: int) -> Tensor:
    """Mean of `values` [N] over the tokens of each of `count` sequences: [R]."""
    zeros = values.new_zeros(count)
    sizes = zeros.index_add(0, sequence, torch.ones_like(values)).clamp(min=1)
    return zeros.index_add(0, sequence, values) / sizes


def off_policy_sequence_mask(
    new: Tensor, old: Tensor, sequence: Tensor, advantages: Tensor, delta: float
) -> Tensor:
    """[R] 0 where the advantage is negative and mean ln(pi_old/pi_theta) > delta, else 1 (report, eq. 8-9).

    A bad sequence that the policy would hardly sample any more teaches nothing and can tear it apart.
    """
    drift = sequence_means((old - new).detach(), sequence, len(advantages))
    return 1.0 - ((advantages < 0) & (drift > delta)).to(new.dtype)


def grpo_loss(
    policies: Policies,
    sequence: Tensor,
    advantages: Tensor,
    *,
    clip: float,
    kl: float,
    delta: float,
    unbiased: bool,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Sum over sequences of the mean token loss, and means a sequence [R] of what is worth watching.

    -min(r A, clip(r, 1 - eps, 1 + eps) A) M + beta KL, r = pi_theta/pi_old with the engine's pi_old. The caller
    divides by the number of sequences of the step. delta 0 leaves M = 1.
    """
    count = len(advantages)
    new, old = policies.new, policies.old
    ratio = (new - old).exp()
    advantage = advantages[sequence]
    clipped = ratio.clamp(1 - clip, 1 + clip)
    surrogate = torch.minimum(ratio * advantage, clipped * advantage)
    mask = torch.ones_like(advantages)
    if delta:
        mask = off_policy_sequence_mask(new, old, sequence, advantages, delta)
    token_loss = -surrogate * mask[sequence]
    watched = {
        "mean_abs_dlogp": sequence_means((new - old).detach().abs(), sequence, count),
        "clipped": sequence_means((ratio * advantage > clipped * advantage).to(new.dtype), sequence, count),
        "offpolicy_masked": 1 - mask,
    }
    if policies.reference is not None and kl:
        reference = policies.reference
        divergence = unbiased_kl(new, old, reference) if unbiased else biased_kl(new, reference)
        token_loss = token_loss + kl * divergence
        watched["kl"] = sequence_means(divergence.detach(), sequence, count)
    return sequence_means(token_loss, sequence, count).sum(), watched
