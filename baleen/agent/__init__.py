"""One policy in one environment: the loop, the growing prompt, and the record that training replays."""

from baleen.agent.context import ContextManagement, fewest_steps
from baleen.agent.conversation import Conversation
from baleen.agent.cost import BudgetSpent, CostMeter, TokenPrice
from baleen.agent.dialogue import ChatPlayer, Generate, Player, PolicyFailure, TokenPlayer
from baleen.agent.endpoint import Endpoint
from baleen.agent.loop import Limits, play, rollout, rollout_all
from baleen.agent.model import ChatModel, ModelFailure, Reply
from baleen.agent.policies import EnginePolicy, ScriptedModel, ScriptedPolicy
from baleen.agent.sample import Replay, SamplingMask, TrainingSample
from baleen.agent.trajectory import Completion, StopReason, Trajectory, Turn, Usage
from baleen.agent.worker import Worker

__all__ = [
    "BudgetSpent",
    "ChatModel",
    "ChatPlayer",
    "Completion",
    "ContextManagement",
    "Conversation",
    "CostMeter",
    "Endpoint",
    "EnginePolicy",
    "Generate",
    "Limits",
    "ModelFailure",
    "Player",
    "PolicyFailure",
    "Replay",
    "Reply",
    "SamplingMask",
    "ScriptedModel",
    "ScriptedPolicy",
    "StopReason",
    "TokenPlayer",
    "TokenPrice",
    "TrainingSample",
    "Trajectory",
    "Turn",
    "Usage",
    "Worker",
    "fewest_steps",
    "play",
    "rollout",
    "rollout_all",
]
