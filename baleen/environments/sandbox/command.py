"""The command line behind a sandbox: namespaces of our own, then bubblewrap, then the limits, then the program.

setpriv, sh    to die when we die
unshare        a process namespace, whose end is the end of all in it, and a private view of mounts
sh             the init of that namespace: one tmpfs of limited size and number of files, over /sys (bubblewrap
               cannot limit the number; every system has that folder, and nobody mounts anything from it)
setpriv        as root: to a uid that is not root's, for which no process limit holds
bwrap          namespaces again, a new root folder, no capabilities, seccomp
prlimit        inside, so that the process limit counts the sandbox's own processes (Linux 5.14)
"""

import os
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from baleen.environments.sandbox.limits import Mount, MountError, SandboxLimits, SandboxUnavailable
from baleen.environments.sandbox.seccomp import seccomp_filter

SANDBOX_ID = (
    65_525  # uid and gid inside, and outside too when we are root: reserved and used by no distribution
)
INSTALL = "apt-get install bubblewrap util-linux"
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
_SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib64", "/lib32", "/libx32")
_SYSTEM_FILES = ("/etc/ld.so.cache", "/etc/alternatives")
_OWN_FILES = {
    "/etc/passwd": f"sandbox:x:{SANDBOX_ID}:{SANDBOX_ID}::/tmp:/bin/sh\n",
    "/etc/group": f"sandbox:x:{SANDBOX_ID}:\n",
    "/etc/hosts": "127.0.0.1 localhost\n",
}
# $0: our process id; then a command. If we died before it could ask to die with us, it has another parent by now.
_WITH_US = '[ "$PPID" = "$0" ] && exec "$@"'
# $1: options of the tmpfs; then sources of mounts up to "--"; then a command, which is not to replace this init:
# the change of uid would undo its "die with the parent"
_INIT = """
set -e
echo 1000 > /proc/self/oom_score_adj
mount -n -t tmpfs -o "$1" sandbox /sys
shift
mkdir -m 1777 /sys/tmp /sys/shm
n=0
while [ "$1" != -- ]; do
  if [ -d "$1" ]; then mkdir /sys/$n; else : > /sys/$n; fi
  mount -n --rbind "$1" /sys/$n
  n=$((n + 1))
  shift
done
shift
set +e
"$@"
exit $?
"""
_INIT_FILES = 2  # files of the tmpfs that are ours before a mount is made


@dataclass(frozen=True)
class Tools:
    """Absolute paths of the programs a sandbox starts through."""

    bwrap: str
    unshare: str
    setpriv: str
    prlimit: str


def find_tools() -> Tools:
    """Raises SandboxUnavailable, naming what is missing and the install command."""
    found = {name: shutil.which(name) for name in ("bwrap", "unshare", "setpriv", "prlimit")}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        raise SandboxUnavailable(f"no sandbox: {', '.join(missing)} not found; install with `{INSTALL}`")
    return Tools(**{name: os.path.realpath(path) for name, path in found.items() if path})


def python_mounts() -> tuple[Mount, ...]:
    """What a sandbox needs beside /usr to run our own interpreter (`sys.executable`) with its packages."""
    prefixes = dict.fromkeys((sys.base_prefix, os.path.realpath(sys.base_prefix), sys.prefix))
    outside = [prefix for prefix in prefixes if not prefix.startswith("/usr/") and prefix != "/usr"]
    return tuple(Mount(Path(os.path.realpath(prefix)), prefix) for prefix in outside)


def visible_paths(mounts: Sequence[Mount]) -> list[str]:
    """Every path that a sandbox with these mounts may show; of the folders above them, it shows nothing else.

    /tmp starts empty, but for mounts below it. What is below the other paths is theirs.
    """
    made = ("/usr", "/proc", "/dev", "/tmp", "/var/tmp")
    return [*made, *_SYSTEM_LINKS, *_SYSTEM_FILES, *_OWN_FILES, *(mount.target for mount in mounts)]


def drops_uid() -> bool:
    """Whether we are a root that can become the sandbox's uid. Others have no uid but their own to give."""
    if os.geteuid() != 0:
        return False
    ranges = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(first <= SANDBOX_ID < first + count for first, _, count in ranges)


def check_mounts(mounts: Sequence[Mount]) -> None:
    """Raises MountError."""
    for n, mount in enumerate(mounts):
        hidden = [
            earlier.target for earlier in mounts[:n] if (earlier.target + "/").startswith(mount.target + "/")
        ]
        if hidden:
            raise MountError(
                f"mount {mount.source}: the target {mount.target} would hide {hidden[0]}; choose another"
            )
        source, target = str(mount.source), mount.target
        if not mount.source.exists():
            raise MountError(f"mount {source}: it does not exist")
        # A program of an earlier sandbox could have put a link where a folder was.
        if os.path.realpath(source) != source:
            raise MountError(f"mount {source}: give its real path, {os.path.realpath(source)}")
        status = os.stat(source)
        needed = stat.S_IROTH | (stat.S_IXOTH if stat.S_ISDIR(status.st_mode) else 0)
        if (
            drops_uid()
            and not mount.writable
            and status.st_uid != SANDBOX_ID
            and status.st_mode & needed != needed
        ):
            raise MountError(
                f"mount {source}: the sandbox's uid {SANDBOX_ID} cannot read it; `chmod -R o+rX` it, or give it away "
                "with hand_over"
            )
        if not os.path.isabs(target) or os.path.normpath(target) != target or target == "/":
            raise MountError(f"mount {source}: the target {target!r} must be an absolute path below /")


@dataclass(frozen=True)
class Setting:
    """Everything about a sandbox but the program."""

    mounts: tuple[Mount, ...]
    limits: SandboxLimits
    env: Mapping[str, str]
    cwd: str
    unix_sockets: bool


def sandbox_command(
    tools: Tools, setting: Setting, argv: Sequence[str], status_fd: int
) -> tuple[list[str], list[int]]:
    """The whole command, and the descriptors that it must inherit, to be closed by the caller once it has started."""
    mounts, limits = setting.mounts, setting.limits
    fds: list[int] = []

    def data(content: bytes) -> str:
        fds.append(_file_of(content))
        return str(fds[-1])

    options = [
        *_namespaces(),
        "--seccomp",
        data(seccomp_filter(setting.unix_sockets)),
        "--json-status-fd",
        str(status_fd),
    ]
    options += _system_view()
    for path, text in _OWN_FILES.items():
        options += ["--ro-bind-data", data(text.encode()), path]
    for n, mount in enumerate(mounts):
        options += ["--bind" if mount.writable else "--ro-bind", f"/sys/{n}", mount.target]
    # bubblewrap's own folders belong to the program's uid: left writable they would be a disk without a limit
    options += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", setting.cwd, "--clearenv"]
    for name, value in {**_ENVIRONMENT, **setting.env}.items():
        options += ["--setenv", name, value]
    arguments = data(b"".join(os.fsencode(option) + b"\0" for option in options))
    files = limits.tmp_files + len(mounts) + _INIT_FILES + 1
    command = [tools.setpriv, "--pdeathsig=KILL", "/bin/sh", "-c", _WITH_US, str(os.getpid())]
    command += [tools.unshare, "--mount", "--mount-proc", "--pid", "--fork", "--kill-child=KILL"]
    command += [] if drops_uid() else ["--user", "--map-root-user"]
    command += ["/bin/sh", "-c", _INIT, "sandbox", f"size={limits.tmp_bytes},nr_inodes={files},mode=755"]
    command += [*(str(mount.source) for mount in mounts), "--"]
    if drops_uid():
        command += [tools.setpriv, f"--reuid={SANDBOX_ID}", f"--regid={SANDBOX_ID}", "--clear-groups"]
    command += [tools.bwrap, "--args", arguments, "--", tools.prlimit, *_rlimits(limits), "--", *argv]
    return command, fds


def _namespaces() -> list[str]:
    ids = ["--uid", str(SANDBOX_ID), "--gid", str(SANDBOX_ID)]
    alone = ["--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--new-session"]
    return [*alone, *ids, "--hostname", "sandbox"]


def _system_view() -> list[str]:
    """/usr, what points into it, and the few files of /etc that programs cannot do without: all read-only."""
    options = ["--ro-bind", "/usr", "/usr"]
    for path in _SYSTEM_LINKS:
        if os.path.islink(path):
            options += ["--symlink", os.readlink(path), path]
        elif os.path.isdir(path):
            options += ["--ro-bind", path, path]
    for path in filter(os.path.exists, _SYSTEM_FILES):
        options += ["--ro-bind", path, path]
    options += ["--proc", "/proc", "--dev", "/dev", "--bind", "/sys/shm", "/dev/shm"]
    return [*options, "--bind", "/sys/tmp", "/tmp", "--symlink", "/tmp", "/var/tmp"]


def _rlimits(limits: SandboxLimits) -> list[str]:
    return [
        f"--as={limits.memory_bytes}",
        f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + 1}",  # a signal to end by, then SIGKILL
        f"--nproc={limits.processes + 1}",  # the init process of the namespace counts too
        f"--nofile={limits.open_files}",
        f"--fsize={limits.file_bytes}",
        "--core=0",
    ]


def _file_of(content: bytes) -> int:
    """A descriptor of a file in memory, at its start."""
    fd = os.memfd_create("sandbox")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
