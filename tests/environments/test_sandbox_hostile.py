"""Programs that try to get out of the sandbox, or to use it up. Each must fail, and for the right reason."""

import os
import platform
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from baleen.environments.sandbox import SANDBOX_ID, Mount, Sandbox, python_mounts, seccomp, workspace
from tests.environments.hostile import SMALL, attack, readable, words

ROOT = Path(__file__).parent.parent.parent


def folders_in_tmp() -> list[str]:
    """Folders of the sandbox's /tmp that are there only because our own interpreter lives below /tmp."""
    targets = [Path(mount.target) for mount in python_mounts() if mount.target.startswith("/tmp/")]
    return sorted({str(folder.relative_to("/tmp")) for t in targets for folder in (t, *t.parents[:-2])})


def at_top(folders: list[str]) -> list[str]:
    return [folder for folder in folders if "/" not in folder]


OURS = folders_in_tmp()


# name -> (program, the words it prints)
ATTEMPTS: dict[str, tuple[str, str]] = {
    "tcp": ("print(told(socket.socket, socket.AF_INET, socket.SOCK_STREAM))", "EPERM"),
    "tcp over IPv6": ("print(told(socket.socket, socket.AF_INET6, socket.SOCK_STREAM))", "EPERM"),
    "udp": ("print(told(socket.socket, socket.AF_INET, socket.SOCK_DGRAM))", "EPERM"),
    "raw packets": ("print(told(socket.socket, socket.AF_PACKET, socket.SOCK_RAW))", "EPERM"),
    "netlink": ("print(told(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW))", "EPERM"),
    "virtual machine sockets": ("print(told(socket.socket, 40, socket.SOCK_STREAM))", "EPERM"),
    "a pair of internet sockets": ("print(told(socket.socketpair, socket.AF_INET))", "EPERM"),
    "names in DNS": (
        "try: socket.getaddrinfo('example.org', 80)\nexcept socket.gaierror as e: print(e.errno == socket.EAI_AGAIN)",
        "True",
    ),
    "interfaces": ("print([l.split()[0] for l in shown('/proc/net/dev').splitlines()[2:]])", "['lo:']"),
    "unix socket, not allowed": ("print(told(socket.socket, socket.AF_UNIX))", "EPERM"),
    "files of the host": (
        "for p in ('/etc/shadow', '/root/.bashrc', '/home', '/srv', '/sys/kernel', '/run', '/boot', '/var/lib'):\n"
        "    print(told(os.stat, p))",
        "ENOENT " * 8,
    ),
    "upwards": (
        "print(told(os.stat, '/tmp/../../../../etc/shadow'), os.listdir('/..') == os.listdir('/'))",
        "ENOENT True",
    ),
    "the root of init": (
        "print(told(os.stat, '/proc/1/root/etc/shadow'), told(os.stat, '/proc/1/cwd/../etc/shadow'))",
        "ENOENT ENOENT",
    ),
    "writing the system": (
        "for p in ('/x', '/usr/x', '/usr/bin/x', '/etc/x', '/dev/x', '/bin/x', '/var/x'): print(told(os.mkdir, p))",
        "EROFS " * 7,
    ),
    "changing the system": (
        "print(told(open, '/etc/passwd', 'a'), told(os.unlink, '/bin'), told(os.chmod, '/', 0o777))\n"
        "print(told(os.chmod, '/etc/passwd', 0o777), told(os.truncate, '/usr/bin/env', 0))",
        "EROFS EROFS EROFS EROFS EACCES",
    ),
    "settings of the kernel": (
        "for p in ('/proc/sys/kernel/core_pattern', '/proc/sys/user/max_user_namespaces', '/proc/sysrq-trigger'):\n"
        "    print(told(open, p, 'w') in ('EACCES', 'EROFS', 'EPERM', 'ENOENT'))",
        "True True True",
    ),
    "memory of the kernel": (
        "print(told(open, '/proc/kcore', 'rb') in ('EACCES', 'EPERM', 'ENOENT'), told(open, '/dev/mem', 'rb'))\n"
        "print(told(open, '/dev/kmsg', 'rb'), system('klogctl', 3, 0, 0))",
        "True ENOENT ENOENT EPERM",
    ),
    "device nodes": (
        "print(system('mknod', b'/tmp/sda', 0o060666, os.makedev(8, 0)), system('mknod', b'/tmp/n', 0o020666, 0x103))",
        "EPERM EPERM",
    ),
    "disks": (
        "print([p for p in os.listdir('/dev') if p.startswith(('sd', 'vd', 'nvme', 'fuse', 'kvm'))])",
        "[]",
    ),
    "ptrace": ("print(system('ptrace', 0, 0, 0, 0), system('ptrace', 16, 1, 0, 0))", "EPERM EPERM"),
    "memory of other processes": (
        "print(system('process_vm_readv', 1, 0, 0, 0, 0, 0), system('process_vm_writev', 1, 0, 0, 0, 0, 0))\n"
        "print(told(open, '/proc/1/mem', 'r+b') in ('EACCES', 'EPERM', 'done'))",
        "EPERM EPERM True",
    ),
    "new namespaces": (
        "for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80):\n"
        "    print(system('unshare', flag))",
        "EPERM " * 8,
    ),
    "entering a namespace": (
        "fd = os.open('/proc/1/ns/net', os.O_RDONLY) if told(os.stat, '/proc/1/ns/net') == 'done' else 0\n"
        "print(system('setns', fd, 0))",
        "EPERM",
    ),
    "mounting": (
        "print(system('mount', b'none', b'/tmp', b'tmpfs', 0, None), system('umount2', b'/tmp', 2))\n"
        "print(system('mount', b'none', b'/', None, 0x1020, None), system('chroot', b'/tmp'))",
        "EPERM EPERM EPERM EPERM",
    ),
    "keyrings": (
        "print(system('syscall', ctypes.c_long(CALLS['add_key']), b'user', b'k', b'v', 1, -4))\n"
        "print(system(CALLS['keyctl'], 0, -4, 1), system(CALLS['request_key'], b'user', b'k', None, -4))",
        "EPERM EPERM EPERM",
    ),
    "becoming root": (
        "print(told(os.setuid, 0), told(os.setresuid, 0, 0, 0), told(os.setgid, 0), told(os.setgroups, [0]))",
        "EINVAL EINVAL EINVAL EPERM",
    ),
    "capabilities": (
        "print(sum(int(l.split()[1], 16) for l in shown('/proc/self/status').splitlines() if l.startswith('Cap')))\n"
        "print(system('prctl', 47, 2, 21, 0, 0), system('prctl', 38, 0, 0, 0, 0), system('prctl', 22, 0, 0, 0, 0))",
        "0 EPERM EINVAL EINVAL",  # raise ambient; unset no_new_privs; strict seccomp over a filter
    ),
    "higher limits": (
        "import resource\n"
        "for name in ('AS', 'NPROC', 'NOFILE', 'FSIZE', 'CORE', 'CPU'):\n"
        "    try: resource.setrlimit(getattr(resource, 'RLIMIT_' + name), (1 << 40, 1 << 40))\n"
        "    except (ValueError, OSError) as e: print('not' in str(e))",
        "True " * 6,
    ),
    "priority": (
        "print(told(os.setpriority, os.PRIO_PROCESS, 0, -5), told(os.sched_setscheduler, 0, 1, os.sched_param(50)))\n"
        "print(told(os.write, os.open('/proc/self/oom_score_adj', os.O_WRONLY), b'-1'))",
        "EACCES EPERM EACCES",
    ),
    "the terminal": ("print(told(open, '/dev/tty'), system('ioctl', 0, 0x5412, b'x'))", "ENXIO EPERM"),
    "clock and name": (
        "print(told(time.clock_settime, time.CLOCK_REALTIME, 0), told(socket.sethostname, 'x'), socket.gethostname())",
        "EPERM EPERM sandbox",
    ),
    "memory at once": ("print(told(mmap.mmap, -1, 1 << 29))", "ENOMEM"),
    "memory that no limit counts": (
        "print(system('shmget', 0, 1 << 20, 0o1600), system('memfd_create', b'x', 0), system('msgget', 0, 0o1600))",
        "EPERM ENOSYS EPERM",
    ),
    "one large file": (
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nimport resource\n"
        "f = os.open('/tmp/f', os.O_CREAT | os.O_RDWR)\nprint(told(os.ftruncate, f, (64 << 20) + 1))",
        "EFBIG",
    ),
    "disk in /tmp and /dev/shm": (
        "f = open('/tmp/f', 'wb', 0); g = open('/dev/shm/g', 'wb', 0)\n"
        "def fill(file):\n    while True: file.write(bytes(1 << 16))\n"
        "print(told(fill, f), told(fill, g), os.stat('/tmp/f').st_size + os.stat('/dev/shm/g').st_size <= 4 << 20)",
        "ENOSPC ENOSPC True",
    ),
    "inodes": (
        "def flood(make):\n    for n in range(1000): make(n)\n"
        "print(told(flood, lambda n: open(f'/tmp/{n}', 'x').close()), len(os.listdir('/tmp')) + BELOW)\n"
        "print(told(os.mkdir, '/dev/shm/d'), told(os.symlink, 'x', '/tmp/l'), told(os.link, '/tmp/0', '/tmp/k'))",
        "ENOSPC 64 ENOSPC ENOSPC ENOSPC",
    ),
    "descriptors": (
        "def hoard():\n    kept = []\n    while True: kept.append(os.dup(0))\nprint(told(hoard))",
        "EMFILE",
    ),
    "inherited descriptors": ("print(*sorted(int(n) for n in os.listdir('/proc/self/fd'))[:-1])", "0 1 2"),
    "fork bomb": (
        "def bomb():\n"
        "    for _ in range(500):\n        if os.fork() == 0: time.sleep(60)\n"
        "print(told(bomb), sum(n.isdigit() for n in os.listdir('/proc')) == 12 + 1)",  # and the init
        "EAGAIN True",
    ),
    "thread bomb": (
        "threads = []\ntry:\n    for _ in range(500):\n"
        "        threads.append(threading.Thread(target=time.sleep, args=(60,), daemon=True)); threads[-1].start()\n"
        "except RuntimeError as e: print(len(threads) == 12, 'start' in str(e))",
        "True True",
    ),
    "only own processes": (
        "print(sorted(int(n) for n in os.listdir('/proc') if n.isdigit()), os.getppid())",
        "[1, 2] 1",
    ),
    "killing init": ("os.kill(1, 9); time.sleep(0.1); print('still here')", "still here"),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_attempt(name: str) -> None:
    program, expected = ATTEMPTS[name]
    column = list(seccomp.AUDIT_ARCH).index(platform.machine())
    calls = {call: numbers[column] for call, numbers in seccomp.REFUSED.items()}
    below = len(OURS) - len(at_top(OURS))
    assert " ".join(words(f"CALLS = {calls}; BELOW = {below}\n{program}")) == expected.strip()


def test_every_refused_system_call_is_refused() -> None:
    column = list(seccomp.AUDIT_ARCH).index(platform.machine())
    for table, expected in ((seccomp.REFUSED, "EPERM"), (seccomp.ABSENT, "ENOSYS")):
        numbers = [numbers[column] for numbers in table.values() if numbers[column] is not None]
        # arguments that no call could use: without the filter they would say EFAULT, EINVAL or EBADF
        got = words(f"for n in {numbers}: print(system(n, -1, -1, -1, -1, -1))")
        assert got == [expected] * len(numbers), dict(zip(table, got, strict=False))


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the calling conventions of x86_64")
@pytest.mark.parametrize(
    ("code", "what"),
    [
        (b"\xb8\x27\x00\x00\x40\x0f\x05\xc3", "x32: getpid, number 39 with bit 30"),
        (b"\xb8\x14\x00\x00\x00\xcd\x80\xc3", "32-bit: getpid, number 20, by int 0x80"),
    ],
)
def test_foreign_calling_conventions_are_fatal(code: bytes, what: str) -> None:
    outcome = attack(
        f"m = mmap.mmap(-1, 4096, prot=7); m.write({code!r})\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))(); print('alive')"
    )
    assert (outcome.ended, outcome.returncode, outcome.stdout) == ("killed", 128 + 31, b""), what  # SIGSYS


def test_namespaces_by_clone() -> None:
    column = list(seccomp.AUDIT_ARCH).index(platform.machine())
    clone = seccomp.CLONE[column]
    flags = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000]
    assert words(f"for f in {flags}: print(system({clone}, f | 17, 0, 0, 0, 0))") == ["EPERM"] * 7


def test_loopback_and_abstract_sockets_of_the_host() -> None:
    """Unix sockets may be allowed; those of the host are in another namespace all the same."""
    name = f"\0baleen-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as abstract, socket.create_server(("127.0.0.1", 0)) as tcp:
        abstract.bind(name)
        abstract.listen()
        port = tcp.getsockname()[1]
        got = words(
            f"s = socket.socket(socket.AF_UNIX); print(told(s.connect, {name!r}))\n"
            f"print(told(socket.create_connection, ('127.0.0.1', {port}), 1))\n"
            "a = socket.socket(socket.AF_UNIX); a.bind('/tmp/own'); a.listen()\n"
            "print(told(socket.socket(socket.AF_UNIX).connect, '/tmp/own'))",
            unix_sockets=True,
        )
    assert got == ["ECONNREFUSED", "EPERM", "done"]


def test_the_network_namespace_holds_without_the_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two walls: with the filter open, there is still no way to a server on this machine."""
    allow = struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)
    monkeypatch.setattr("baleen.environments.sandbox.command.seccomp_filter", lambda unix_sockets: allow)
    with socket.create_server(("127.0.0.1", 0)) as server:
        got = words(
            f"print(told(socket.create_connection, ('127.0.0.1', {server.getsockname()[1]}), 1))\n"
            "print(told(socket.create_connection, ('192.0.2.1', 80), 1), system('unshare', 0x10000000))\n"
            "print(system('mount', b'none', b'/tmp', b'tmpfs', 0, None))"
        )
    assert got == ["ECONNREFUSED", "ENETUNREACH", "ENOSPC", "EPERM"]


def test_links_out_of_a_writable_mount(tmp_path: Path) -> None:
    (tmp_path / "answer").write_text("42")
    with workspace() as work:
        (work / "planted").symlink_to(tmp_path / "answer")
        got = words(
            f"os.chdir('/box'); os.symlink({str(tmp_path / 'answer')!r}, 'mine'); os.symlink('/proc/1/root', 'root')\n"
            f"print(told(open, 'planted'), told(open, 'mine'), told(open, 'root' + {str(tmp_path / 'answer')!r}))\n"
            "print(told(os.link, '/usr/bin/env', 'env'))",
            Mount(work, "/box", writable=True),
        )
    assert got == ["ENOENT", "ENOENT", "ENOENT", "EXDEV"]


def test_siblings_do_not_see_each_other(tmp_path: Path) -> None:
    with workspace() as first, workspace() as second:
        sandbox = Sandbox([Mount(first, "/box", writable=True)])
        with sandbox.start(
            ["sh", "-c", "echo secret > /tmp/mine; echo secret > /box/mine; echo; exec sleep 60"]
        ) as p:
            p.stdout.readline()
            got = words(
                f"print(os.listdir('/tmp'), os.listdir('/box'), told(os.stat, {str(first)!r}))\n"
                f"print(told(os.kill, {p.pid}, 9))",
                Mount(second, "/box", writable=True),
            )
            assert p.poll() is None
        assert (first / "mine").read_text() == "secret\n"
    assert got == [str(at_top(OURS)), "[]", "ENOENT", "ESRCH"]


def test_our_environment_arguments_and_descriptors(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("API_KEY", "hunter2")
    (tmp_path / "answer").write_text("hunter2")
    with open(tmp_path / "answer") as file:
        os.set_inheritable(file.fileno(), True)
        got = words(
            "import glob\nseen = set()\n"
            "for p in glob.glob('/proc/[0-9]*/environ') + glob.glob('/proc/[0-9]*/cmdline'):\n"
            "    seen.add('hunter' + '2' in shown(p))\n"
            "links = [os.readlink(p) for p in glob.glob('/proc/[0-9]*/fd/*') if os.path.islink(p)]\n"
            "print(seen, [l for l in links if 'answer' in l], 'API_KEY' in os.environ)"
        )
    assert got == ["{False}", "[]", "False"]


def test_read_only_mounts_and_a_forged_report(tmp_path: Path) -> None:
    """What grades lies in a mount that the graded program can read at most; a report elsewhere is not the report."""
    tests, reports = readable(tmp_path), tmp_path / "reports"
    (tests / "test_a.py").write_text("assert False")
    reports.mkdir(mode=0o700)
    with workspace() as work:
        got = words(
            "print(told(open, '/tests/report.xml', 'w'), told(open, '/tests/test_a.py', 'w'))\n"
            "print(told(os.rename, '/tests', '/t'), told(os.unlink, '/tests/test_a.py'), told(os.utime, '/tests'))\n"
            f"print(told(open, {str(reports / 'report.xml')!r}, 'w'), told(open, '/box/report.xml', 'w'))",
            Mount(tests, "/tests"),
            Mount(work, "/box", writable=True),
        )
        assert os.listdir(reports) == [] and os.listdir(work) == ["report.xml"]
    assert got[:2] == ["EROFS", "EROFS"] and got[2] in ("EROFS", "EBUSY") and got[3:5] == ["EROFS", "EROFS"]
    assert got[5:] == ["ENOENT", "done"]
    assert (tests / "test_a.py").read_text() == "assert False"


def test_set_uid_programs(tmp_path: Path) -> None:
    """A set-user-ID copy of `id`, root's where the tests are, changes nobody inside."""
    shutil.copy("/usr/bin/id", tmp_path / "id")
    (tmp_path / "id").chmod(0o6755)
    outcome = Sandbox([Mount(readable(tmp_path), "/bad")]).run(["/bad/id"])
    assert f"uid={SANDBOX_ID}" in outcome.stdout.decode() and "euid" not in outcome.stdout.decode(), outcome


def test_no_core_is_dumped() -> None:
    with workspace() as work:
        mount = Mount(work, "/box", writable=True)
        outcome = attack("os.chdir('/box'); os.kill(os.getpid(), signal.SIGSEGV)", mount)
        assert (outcome.ended, outcome.returncode) == ("killed", 128 + 11)
        assert os.listdir(work) == []


def test_burning_the_processor() -> None:
    limits = replace(SMALL, cpu_seconds=1, wall_seconds=60)
    obedient = attack("while True: pass", limits=limits)
    assert (obedient.ended, obedient.returncode) == ("killed", 128 + 24), obedient  # SIGXCPU
    deaf = attack("signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", limits=limits)
    assert (deaf.ended, deaf.returncode) == ("killed", 128 + 9), deaf


@pytest.mark.parametrize(
    "program",
    [
        "time.sleep(600)",
        "for n in range(1, 65):\n    if n not in (9, 19, 32, 33): signal.signal(n, signal.SIG_IGN)\ntime.sleep(600)",
        "for n in (0, 1, 2): os.close(n)\ntime.sleep(600)",
        "os.kill(os.getpid(), signal.SIGSTOP)",
        "sys.stdin.read(); time.sleep(600)",
    ],
    ids=["sleeping", "deaf to signals", "silent", "stopped", "waiting for input"],
)
def test_the_wall_time_ends_it(program: str) -> None:
    outcome = attack(program, limits=replace(SMALL, wall_seconds=0.4))
    assert (outcome.ended, outcome.returncode) == ("wall", 128 + 9), outcome
    assert 0.4 <= outcome.seconds < 5 and "0.4 seconds" in outcome.reason


@pytest.mark.parametrize("stream", [1, 2])
def test_a_flood_of_output(stream: int) -> None:
    outcome = attack(f"while True: os.write({stream}, b'flood' * 1000)")
    assert (outcome.ended, outcome.returncode) == ("output", 128 + 9) and "65536 bytes" in outcome.reason
    assert len(outcome.stdout) + len(outcome.stderr) == SMALL.output_bytes


def test_memory_of_many_processes() -> None:
    """Each stays under its own limit; together they are too much."""
    limits = replace(SMALL, memory_bytes=128 << 20, total_memory_bytes=192 << 20)
    outcome = attack(
        "for _ in range(8):\n    if os.fork() == 0: break\n"
        "kept = []\nfor _ in range(60): kept.append(b'x' * (1 << 20)); time.sleep(0.01)\ntime.sleep(60)",
        limits=limits,
    )
    assert outcome.ended == "killed" and "memory" in outcome.reason, outcome


def test_memory_that_processes_share_counts_once() -> None:
    limits = replace(SMALL, memory_bytes=256 << 20, total_memory_bytes=192 << 20)
    outcome = attack(
        "kept = b'x' * (100 << 20)\nfor _ in range(6):\n    if os.fork() == 0: break\ntime.sleep(0.6)",
        limits=limits,
    )
    assert (outcome.ended, outcome.returncode) == ("exit", 0), outcome


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        (
            "while True: open(f'{time.monotonic_ns()}', 'wb').write(bytes(1 << 20)); time.sleep(0.002)",
            "bytes",
        ),
        ("while True: open(f'{time.monotonic_ns()}', 'wb').close()", "files"),
    ],
)
def test_disk_of_writable_mounts(program: str, reason: str) -> None:
    with workspace() as work:
        outcome = attack(
            f"os.chdir('/box')\n{program}",
            Mount(work, "/box", writable=True),
            limits=replace(SMALL, disk_bytes=16 << 20, disk_files=2000),
        )
    assert outcome.ended == "killed" and outcome.reason.endswith(reason), outcome


# A program that leaves others behind, each of which appends to its own file for as long as it lives.
_STRAGGLERS = """
def heart(name):
    for n in (0, 1, 2): os.close(n)
    while True:
        with open('/box/' + name, 'a') as f: f.write('.')
        time.sleep(0.01)
if os.fork() == 0: heart('child')
if os.fork() == 0: os.setsid(); heart('session')
if os.fork() == 0:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: signal.signal(signal.SIGTERM, signal.SIG_IGN); heart('daemon')
    os._exit(0)
while any(not os.path.exists('/box/' + n) for n in ('child', 'session', 'daemon')): time.sleep(0.01)
"""


def beats(work: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in work.iterdir()}


def assert_all_dead(work: Path) -> None:
    before = beats(work)
    assert before.keys() >= {"child", "session", "daemon"}
    time.sleep(0.1)
    assert beats(work) == before


@pytest.mark.parametrize(
    ("rest", "ended"), [("", "exit"), ("os.kill(0, 9)", "killed"), ("time.sleep(600)", "wall")]
)
def test_the_whole_tree_ends(rest: str, ended: str) -> None:
    with workspace() as work:
        mount = Mount(work, "/box", writable=True)
        outcome = attack(_STRAGGLERS + rest, mount, limits=replace(SMALL, wall_seconds=2))
        assert outcome.ended == ended, outcome
        assert_all_dead(work)


def test_the_whole_tree_ends_when_a_started_program_is_killed() -> None:
    with workspace() as work:
        sandbox = Sandbox([*python_mounts(), Mount(work, "/box", writable=True)])
        imports = "import os, signal, time\n"
        with sandbox.start(
            [sys.executable, "-I", "-S", "-c", f"{imports}{_STRAGGLERS}print(flush=True); time.sleep(60)"]
        ) as p:
            p.stdout.readline()
            p.kill()
            assert p.poll() == 128 + 9
            assert_all_dead(work)


def test_the_whole_tree_ends_with_us(tmp_path: Path) -> None:
    """SIGKILL to the process that owns the sandbox: nobody is left to end it but the kernel."""
    with workspace() as work:
        program = f"import os, signal, time{_STRAGGLERS}time.sleep(60)"
        owner = (
            "import sys\nfrom pathlib import Path\n"
            "from baleen.environments.sandbox import Mount, Sandbox, python_mounts\n"
            f"box = Sandbox([*python_mounts(), Mount(Path({str(work)!r}), '/box', writable=True)])\n"
            f"box.run([sys.executable, '-I', '-S', '-c', {program!r}])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", owner], cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        deadline = time.monotonic() + 20
        while beats(work).keys() < {"child", "session", "daemon"} and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()
        process.wait()
        time.sleep(0.2)
        assert_all_dead(work)


def running(marker: str) -> int:
    """How many processes of this machine have the marker in their command line."""
    count = 0
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            count += marker.encode() in path.read_bytes()
        except OSError:
            continue
    return count


def test_it_ends_with_us_at_any_moment() -> None:
    """Between its start and its asking to die with us, our death must not leave it alone in the world."""
    sandbox, marker = Sandbox(), f"97{os.getpid()}"
    for n in range(20):
        pid = os.fork()
        if pid == 0:
            sandbox.start(["sleep", marker])
            time.sleep(60)
        # Fast at first, when the most happens; 40 ms is past the start.
        time.sleep(0.002 * n)
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    deadline = time.monotonic() + 5
    while running(marker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert running(marker) == 0


def test_two_sandboxes_do_not_starve_each_other() -> None:
    """The process limit is each sandbox's own, though they share a uid: all can be full at the same time."""
    fill = "n = 0\ntry:\n    while True:\n        if os.fork() == 0: time.sleep(60)\n        n += 1\n"
    fill += "except BlockingIOError: print(n, flush=True)\ntime.sleep(1)"
    got: list[list[str]] = []
    threads = [threading.Thread(target=lambda: got.append(words(fill))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [[str(SMALL.processes - 1)]] * 4


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_all_of_this_as_an_ordinary_user(tmp_path: Path) -> None:
    """This file once more under a uid without rights, in a view of this machine that such a user can read."""
    view: list[str] = []
    for needed in dict.fromkeys((sys.base_prefix, sys.prefix, str(ROOT))):
        parents = list(reversed(Path(needed).parents))
        closed = [n for n, p in enumerate(parents) if not p.stat().st_mode & 0o001]
        if closed:
            view += ["--perms", "0755", "--tmpfs", str(parents[closed[0]])]
            for inner in parents[closed[0] + 1 :]:
                view += ["--perms", "0755", "--dir", str(inner)]
            view += ["--ro-bind", needed, needed]
    command = [
        "bwrap",
        "--dev-bind",
        "/",
        "/",
        *view,
        "--chdir",
        str(ROOT),
        "setpriv",
        "--reuid=1234",
        "--regid=1234",
    ]
    command += ["--clear-groups", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    told = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert told.returncode == 0, told.stdout[-4000:] + told.stderr[-2000:]
    assert " passed" in told.stdout
