"""One policy in one environment: the loop, the growing prompt, and the record that training replays."""

from baleen.agent.context import ContextManagement, fewest_steps
from baleen.agent.conversation import Conversation
from baleen.agent.loop import Generate, Limits, PolicyFailure, rollout, rollout_all
from baleen.agent.policies import EnginePolicy, ScriptedPolicy
from baleen.agent.trajectory import Chain, Completion, StopReason, Trajectory, Turn

__all__ = [
    "Chain",
    "Completion",
    "ContextManagement",
    "Conversation",
    "EnginePolicy",
    "Generate",
    "Limits",
    "PolicyFailure",
    "ScriptedPolicy",
    "StopReason",
    "Trajectory",
    "Turn",
    "fewest_steps",
    "rollout",
    "rollout_all",
]
