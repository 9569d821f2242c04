"""Code tasks: a repository in the sandbox, graded by its own tests."""

from baleen.environments.code.demonstration import demonstrate
from baleen.environments.code.task import CodeTask
from baleen.environments.code.world import CodeWorld

__all__ = ["CodeTask", "CodeWorld", "demonstrate"]
