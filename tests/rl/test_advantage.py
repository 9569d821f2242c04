"""Rewards with a length penalty, and advantages of a group."""

import numpy as np
import pytest

from baleen.rl import group_advantages, penalized_rewards


def test_advantages_are_rewards_less_their_mean_without_a_division():
    assert group_advantages(np.array([1.0, 0.0, 0.0, 1.0])).tolist() == [0.5, -0.5, -0.5, 0.5]
    assert group_advantages(np.array([0.1, 0.0, 0.0, 0.1])).tolist() == pytest.approx(
        [0.05, -0.05, -0.05, 0.05]
    )


def test_only_correct_answers_pay_for_their_length_and_less_where_few_are_correct():
    outcomes, lengths = np.array([1.0, 1.0, 0.0, 0.0]), np.array([10, 40, 40, 1])
    rewards = penalized_rewards(outcomes, lengths, 0.4)
    assert rewards.tolist() == pytest.approx([1 - 0.4 * 0.5 * 0.25, 1 - 0.4 * 0.5, 0.0, 0.0])
    everyone = penalized_rewards(np.ones(4), lengths, 0.4)
    assert everyone[1] == pytest.approx(0.6)


def test_a_correct_long_answer_beats_a_wrong_short_one_at_any_weight_below_one():
    rewards = penalized_rewards(np.array([1.0, 0.0]), np.array([100, 1]), 0.99)
    assert rewards[0] > rewards[1]
