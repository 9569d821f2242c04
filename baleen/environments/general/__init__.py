"""General agent tasks: a database, tools on it, a question; many domains, and any that an author model invents."""

from baleen.environments.general.domains import DOMAINS, HELDOUT_DOMAINS, TRAIN_DOMAINS
from baleen.environments.general.renaming import reword
from baleen.environments.general.sampling import difficulties, sample_general_task
from baleen.environments.general.showing import briefly, demonstrate
from baleen.environments.general.world import GeneralWorld, open_tools

__all__ = [
    "DOMAINS",
    "HELDOUT_DOMAINS",
    "TRAIN_DOMAINS",
    "GeneralWorld",
    "briefly",
    "demonstrate",
    "difficulties",
    "open_tools",
    "reword",
    "sample_general_task",
]
