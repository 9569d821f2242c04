"""One policy in one environment: the loop, the growing prompt, and the record that training replays."""

from baleen.agent.context import ContextManagement, fewest_steps
from baleen.agent.conversation import Conversation
from baleen.agent.cost import BudgetSpent, CostMeter, TokenPrice
from baleen.agent.endpoint import Endpoint
from baleen.agent.loop import Generate, Limits, PolicyFailure, rollout, rollout_all
from baleen.agent.model import ChatModel, ModelFailure, Reply
from baleen.agent.policies import EnginePolicy, ScriptedPolicy
from baleen.agent.trajectory import Chain, Completion, StopReason, Trajectory, Turn

__all__ = [
    "BudgetSpent",
    "Chain",
    "ChatModel",
    "Completion",
    "ContextManagement",
    "Conversation",
    "CostMeter",
    "Endpoint",
    "EnginePolicy",
    "Generate",
    "Limits",
    "ModelFailure",
    "PolicyFailure",
    "Reply",
    "ScriptedPolicy",
    "StopReason",
    "TokenPrice",
    "Trajectory",
    "Turn",
    "fewest_steps",
    "rollout",
    "rollout_all",
]
