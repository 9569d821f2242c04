"""Making tasks that agents learn from: candidates, their verdicts, and what is kept."""

from baleen.synthesis.journal import Journal, Verdict, read_verdicts
from baleen.synthesis.pipeline import Candidate, Yield, synthesise, yields

__all__ = [
    "Candidate",
    "Journal",
    "Verdict",
    "Yield",
    "read_verdicts",
    "synthesise",
    "yields",
]
