"""Code tasks: a repository in the sandbox, graded by its own test suite."""

from baleen.environments.code.demonstration import demonstrate
from baleen.environments.code.world import CodeWorld

__all__ = ["CodeWorld", "demonstrate"]
