"""GRPO: rollouts that can be replayed, group advantages, the stabilised loss, the loop."""

from baleen.rl.advantage import group_advantages, penalised_rewards
from baleen.rl.groups import LIMITS, Groups, play_groups
from baleen.rl.loss import Policies, grpo_loss, off_policy_sequence_mask, unbiased_kl
from baleen.rl.rollout import PackedRollouts, Rollout, World, collect, pack_rollouts, rollouts_of
from baleen.rl.trainer import train_rl

__all__ = [
    "LIMITS",
    "Groups",
    "PackedRollouts",
    "Policies",
    "Rollout",
    "World",
    "collect",
    "group_advantages",
    "grpo_loss",
    "off_policy_sequence_mask",
    "pack_rollouts",
    "penalised_rewards",
    "play_groups",
    "rollouts_of",
    "train_rl",
    "unbiased_kl",
]
