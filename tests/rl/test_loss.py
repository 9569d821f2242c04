"""GRPO's terms against hand numbers, and the KL estimator against the exact gradient of the divergence."""

import math

import pytest
import torch

from baleen.rl import Logprobs, grpo_loss, off_policy_sequence_mask, unbiased_kl
from baleen.rl.loss import biased_kl, sequence_means

OPTIONS = {"clip": 0.2, "kl": 0.0, "delta": 0.0, "unbiased": True}


def log(*probabilities: float) -> torch.Tensor:
    return torch.tensor([math.log(p) for p in probabilities], requires_grad=True)


def test_loss_of_two_sequences_by_hand():
    # A: two tokens, ratios 1.1 and 1.5 (clipped at 1.2), advantage 0.5; B: one token, ratio 0.5, advantage -0.5
    new, old = log(0.55, 0.75, 0.2), log(0.5, 0.5, 0.4).detach()
    sequence, advantages = torch.tensor([0, 0, 1]), torch.tensor([0.5, -0.5])
    loss, metrics = grpo_loss(Logprobs(new, old, None), sequence, advantages, **OPTIONS)
    expected = -(0.5 * 1.1 + 0.5 * 1.2) / 2 - (-0.5 * 0.8)  # min(0.5 A, 0.8 A) with A < 0 is 0.8 A
    assert loss.item() == pytest.approx(expected)
    assert metrics["clipped"].tolist() == [0.5, 1.0]
    (gradient,) = torch.autograd.grad(loss, new)
    assert gradient.tolist() == pytest.approx([-0.5 * 1.1 / 2, 0.0, 0.0])  # what is clipped pulls no more


def test_long_and_short_sequences_weigh_the_same():
    values, sequence = torch.tensor([1.0, 3.0, 10.0]), torch.tensor([0, 0, 1])
    assert sequence_means(values, sequence, 3).tolist() == [2.0, 10.0, 0.0]


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_only_the_unbiased_estimate_has_the_gradient_of_the_divergence(estimator):
    """Expectation over pi_old of the estimate's gradient, all outcomes enumerated, against KL(pi_theta || pi_ref)'s."""
    generator = torch.Generator().manual_seed(0)
    theta = torch.randn(6, generator=generator, dtype=torch.float64, requires_grad=True)
    old = torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(0)
    reference = torch.randn(6, generator=generator, dtype=torch.float64).log_softmax(0)
    new = theta.log_softmax(0)
    (exact,) = torch.autograd.grad((new.exp() * (new - reference)).sum(), theta, retain_graph=True)
    each = unbiased_kl(new, old, reference) if estimator == "unbiased" else biased_kl(new, reference)
    (estimated,) = torch.autograd.grad((old.exp() * each).sum(), theta)
    error = (estimated - exact).abs().max().item()
    assert error < 1e-12 if estimator == "unbiased" else error > 1e-2


def test_bad_sequences_that_have_drifted_are_masked():
    old = torch.zeros(4)
    new = torch.tensor([-0.3, -0.1, -0.3, -0.1])  # both sequences: mean ln(old/new) = 0.2
    sequence = torch.tensor([0, 0, 1, 1])
    advantages = torch.tensor([-1.0, 1.0])
    assert off_policy_sequence_mask(new, old, sequence, advantages, 0.1).tolist() == [0.0, 1.0]
    assert off_policy_sequence_mask(new, old, sequence, advantages, 0.3).tolist() == [1.0, 1.0]


def test_a_masked_sequence_still_pays_for_its_divergence():
    new, old, reference = log(0.3), log(0.9).detach(), log(0.6).detach()
    sequence, advantages = torch.tensor([0]), torch.tensor([-1.0])
    options = OPTIONS | {"delta": 0.1, "kl": 0.5}
    loss, metrics = grpo_loss(Logprobs(new, old, reference), sequence, advantages, **options)
    assert metrics["offpolicy_masked"].tolist() == [1.0]
    assert loss.item() == pytest.approx((0.3 / 0.9) * (2.0 - math.log(2.0) - 1) * 0.5, rel=1e-5)
