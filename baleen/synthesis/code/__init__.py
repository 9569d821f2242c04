"""Code tasks from real packages and the user's own: mutants, consecutive releases, bugs that a model wrote."""

from baleen.synthesis.code.bases import Base, fetch, open_base
from baleen.synthesis.code.candidates import candidates, newest_pairs, pairs_between
from baleen.synthesis.code.judging import Judge, ReleaseWork, Work
from baleen.synthesis.code.setup_agents import ModelAgent, ScriptedAgent
from baleen.synthesis.code.sources import SourceError, own_folder

__all__ = [
    "Base",
    "Judge",
    "ModelAgent",
    "ReleaseWork",
    "ScriptedAgent",
    "SourceError",
    "Work",
    "candidates",
    "fetch",
    "newest_pairs",
    "open_base",
    "own_folder",
    "pairs_between",
]
