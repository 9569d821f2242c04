"""Run inside a sandbox by its probe: tries what must not work, prints a JSON list of what did.

Stands alone: nothing of Baleen is there. argv[1]: JSON of what to expect.
"""

import errno
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable


def refused(attempt: Callable[[], object], *numbers: int) -> bool:
    """Whether the attempt fails with one of these errnos."""
    try:
        attempt()
    except OSError as error:
        return error.errno in numbers
    return False


def status() -> dict[str, str]:
    with open("/proc/self/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def interfaces() -> list[str]:
    with open("/proc/net/dev") as file:
        return [line.split(":")[0].strip() for line in file if ":" in line]


def forks(most: int) -> int:
    """How many children can be alive at once, up to `most`."""
    pids = []
    try:
        for _ in range(most):
            pid = os.fork()
            if pid == 0:
                os.read(0, 1)  # until the parent ends them
                os._exit(0)
            pids.append(pid)
    except OSError:
        pass
    for pid in pids:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    return len(pids)


def fill(path: str, size: int) -> None:
    with open(path, "wb", buffering=0) as file:
        for _ in range(size // 65536):
            file.write(bytes(65536))


def beyond(visible: set[str], folder: str = "/") -> list[str]:
    """Paths from `folder` on that are neither `visible` nor on the way to one that is."""
    found = []
    for path in (os.path.join(folder, name) for name in os.listdir(folder)):
        if path in visible and path != "/tmp":
            continue
        if path == "/tmp" or any(one.startswith(path + "/") for one in visible):
            found += beyond(visible, path)
        else:
            found.append(path)
    return found


def make_files(count: int) -> None:
    for n in range(count):
        os.close(os.open(f"/tmp/f{n}", os.O_CREAT | os.O_WRONLY))


def main() -> None:
    expected = json.loads(sys.argv[1])
    limits, here = expected["limits"], status()
    checks = {
        "the uid": os.getuid() != 0 and here["Uid"].split() == [str(os.getuid())] * 4,
        "no capabilities": all(int(here[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")),
        "no new privileges": here.get("NoNewPrivs") == "1",
        "the system call filter": here.get("Seccomp") == "2"
        and refused(lambda: socket.socket(socket.AF_INET), errno.EPERM),
        "no network": os.stat("/proc/self/ns/net").st_ino != expected["network"] and interfaces() == ["lo"],
        "hidden files": not beyond(set(expected["visible"])),
        "a read-only system": all(
            refused(lambda path=path: os.mkdir(path), errno.EROFS) for path in ("/x", "/usr/x", "/dev/x")
        ),
        "own processes only": os.getppid() in (0, 1, 2),
        "the process limit": 0 < forks(limits["processes"] + 8) < limits["processes"],
        "the memory limit": refused(lambda: mmap.mmap(-1, limits["memory"]), errno.ENOMEM),
        "the size of /tmp": refused(lambda: fill("/dev/shm/x", limits["tmp"] + (1 << 20)), errno.ENOSPC),
        "the number of files": refused(lambda: make_files(expected["files"] + 1), errno.ENOSPC),
    }
    print(json.dumps([name for name, holds in checks.items() if not holds]))


if __name__ == "__main__":
    main()
