"""Problems to solve with a stateful Python: the kernel in the sandbox, its world, and the comparison of answers."""

from baleen.environments.interpreter.answers import final_answer, number, same
from baleen.environments.interpreter.kernel import Cell, Kernel
from baleen.environments.interpreter.task import InterpreterTask
from baleen.environments.interpreter.world import SYSTEM_MESSAGE, InterpreterWorld, demonstrate, score_of

__all__ = [
    "SYSTEM_MESSAGE",
    "Cell",
    "InterpreterTask",
    "InterpreterWorld",
    "Kernel",
    "demonstrate",
    "final_answer",
    "number",
    "same",
    "score_of",
]
