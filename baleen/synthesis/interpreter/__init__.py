"""Problems whose checked answer needs computation: generated families, files of questions, and their gate."""

from baleen.synthesis.interpreter.candidates import FAMILIES, Draft, generated, questions
from baleen.synthesis.interpreter.family import DIFFICULTIES, Family, Problem
from baleen.synthesis.interpreter.judge import Judge, Kernels, Solver, task_of
from baleen.synthesis.interpreter.solver import ReferenceSolver, Usage, attempt

__all__ = [
    "DIFFICULTIES",
    "FAMILIES",
    "Draft",
    "Family",
    "Judge",
    "Kernels",
    "Problem",
    "ReferenceSolver",
    "Solver",
    "Usage",
    "attempt",
    "generated",
    "questions",
    "task_of",
]
