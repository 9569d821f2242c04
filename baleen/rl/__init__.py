"""GRPO: rollouts that can be replayed, group advantages, the stabilized loss, the loop."""

from baleen.rl.advantage import group_advantages, penalized_rewards
from baleen.rl.batch import RolloutBatch, collate
from baleen.rl.groups import Groups, sample_groups, score_groups
from baleen.rl.loss import Logprobs, grpo_loss, off_policy_sequence_mask, unbiased_kl
from baleen.rl.sampler import LIMITS, EngineSampler, EnvironmentFactory, RolloutSampler
from baleen.rl.trainer import train_rl

__all__ = [
    "LIMITS",
    "EngineSampler",
    "EnvironmentFactory",
    "Groups",
    "Logprobs",
    "RolloutBatch",
    "RolloutSampler",
    "collate",
    "group_advantages",
    "grpo_loss",
    "off_policy_sequence_mask",
    "penalized_rewards",
    "sample_groups",
    "score_groups",
    "train_rl",
    "unbiased_kl",
]
