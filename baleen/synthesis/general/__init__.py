"""General agent tasks by the paper's loop: database, tools, task, solution, verification; harder step by step."""

from baleen.synthesis.general.candidates import Plan, judge
from baleen.synthesis.general.model_author import ModelAuthor
from baleen.synthesis.general.proposal import Author, AuthorFailure, Proposal, Rejection
from baleen.synthesis.general.scripted import ScriptedAuthor

__all__ = [
    "Author",
    "AuthorFailure",
    "ModelAuthor",
    "Plan",
    "Proposal",
    "Rejection",
    "ScriptedAuthor",
    "judge",
]
