"""Where code that a model wrote runs: bubblewrap, seccomp, another uid and limits behind one small interface."""

from baleen.environments.sandbox.command import SANDBOX_ID
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

__all__ = [
    "SANDBOX_ID",
    "Ended",
    "Mount",
    "MountError",
    "Outcome",
    "Sandbox",
    "SandboxLimits",
    "SandboxProcess",
    "SandboxUnavailable",
    "hand_over",
    "read_inside",
    "remove",
    "workspace",
]
