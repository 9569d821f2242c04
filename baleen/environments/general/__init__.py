"""General agent tasks: a database, tools on it, and a question, in many domains or in one that a model invents."""

from baleen.environments.general.domains import DOMAINS, HELDOUT_DOMAINS, TRAIN_DOMAINS
from baleen.environments.general.presentation import demonstrate, inline_tools
from baleen.environments.general.randomize_vocabulary import randomize_vocabulary
from baleen.environments.general.sampling import difficulties, sample_general_task
from baleen.environments.general.task import EnvironmentSpec, GeneralTask
from baleen.environments.general.tools import open_tools
from baleen.environments.general.world import GeneralWorld

__all__ = [
    "DOMAINS",
    "HELDOUT_DOMAINS",
    "TRAIN_DOMAINS",
    "EnvironmentSpec",
    "GeneralTask",
    "GeneralWorld",
    "demonstrate",
    "difficulties",
    "inline_tools",
    "open_tools",
    "randomize_vocabulary",
    "sample_general_task",
]
