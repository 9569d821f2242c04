"""Problems to solve with a stateful Python: the kernel in the sandbox, its world, what counts as the same answer."""

from baleen.environments.interpreter.answers import final_answer, number, same
from baleen.environments.interpreter.kernel import Cell, Kernel
from baleen.environments.interpreter.world import SYSTEM_MESSAGE, InterpreterWorld, demonstrate, score_of

__all__ = [
    "SYSTEM_MESSAGE",
    "Cell",
    "InterpreterWorld",
    "Kernel",
    "demonstrate",
    "final_answer",
    "number",
    "same",
    "score_of",
]
