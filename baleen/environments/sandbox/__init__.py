"""Where code that a model wrote runs: bubblewrap, seccomp, another uid and limits behind one small interface."""

from baleen.environments.sandbox.command import SANDBOX_ID, python_mounts
from baleen.environments.sandbox.folders import hand_over, read_inside, remove, workspace
from baleen.environments.sandbox.limits import (
    Ended,
    Mount,
    MountError,
    Outcome,
    SandboxLimits,
    SandboxUnavailable,
)
from baleen.environments.sandbox.process import SandboxProcess
from baleen.environments.sandbox.sandbox import Sandbox
from baleen.environments.sandbox.worker import Result, Worker

__all__ = [
    "SANDBOX_ID",
    "Ended",
    "Mount",
    "MountError",
    "Outcome",
    "Result",
    "Sandbox",
    "SandboxLimits",
    "SandboxProcess",
    "SandboxUnavailable",
    "Worker",
    "hand_over",
    "python_mounts",
    "read_inside",
    "remove",
    "workspace",
]
