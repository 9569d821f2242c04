"""`Sandbox`: where programs that a model wrote, or any others we do not trust, run."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from baleen.environments.sandbox.command import Setting, check_mounts, find_tools
from baleen.environments.sandbox.folders import hand_over
from baleen.environments.sandbox.limits import Mount, Outcome, SandboxLimits
from baleen.environments.sandbox.probe import require_sandbox
from baleen.environments.sandbox.process import SandboxProcess, run_to_end


class Sandbox:
    """No network, a read-only system, a private /tmp, another uid, no capabilities, limits on everything.

    Each `run` and `start` is a sandbox of its own: an empty /tmp, and nothing of what ran before but what it left in
    writable mounts. As root, the files of writable mounts are given to the sandbox's uid here; for files that are
    added later see `hand_over`. `env` adds to PATH, HOME and LANG. `unix_sockets` allows AF_UNIX sockets by name.

    Raises SandboxUnavailable where this machine cannot enforce a limit, MountError.
    """

    def __init__(
        self,
        mounts: Sequence[Mount] = (),
        limits: SandboxLimits = SandboxLimits(),  # noqa: B008 - frozen
        env: Mapping[str, str] = MappingProxyType({}),
        cwd: str = "/tmp",
        unix_sockets: bool = False,
    ) -> None:
        self._tools = find_tools()
        require_sandbox(self._tools)
        check_mounts(mounts)
        for mount in mounts:
            if mount.writable:
                hand_over(mount.source)
        self._setting = Setting(tuple(mounts), limits, dict(env), cwd, unix_sockets)

    def run(self, argv: Sequence[str], stdin: bytes = b"", limits: SandboxLimits | None = None) -> Outcome:
        """Run a program to its end. It ends early when it goes over a limit; the outcome tells which.

        Raises ToolFailure when it could not be started, which is never the program's fault.
        """
        setting = replace(self._setting, limits=limits or self._setting.limits)
        return run_to_end(self._tools, setting, argv, stdin)

    def start(self, argv: Sequence[str]) -> SandboxProcess:
        """Start a program to talk to. Neither wall time nor output are limited: close it when it is no longer needed.

        It ends with this process at the latest.
        """
        return SandboxProcess(self._tools, self._setting, argv)
