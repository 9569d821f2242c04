"""What the sandbox gives to honest programs, what it tells about their end, and when it refuses to be."""

import json
import os
import platform
import shutil
import struct
import subprocess
import sys
import threading
import time
import venv
from dataclasses import replace
from pathlib import Path

import pytest

from baleen.environments.sandbox import (
    SANDBOX_ID,
    Mount,
    MountError,
    Sandbox,
    SandboxLimits,
    SandboxUnavailable,
    Worker,
    hand_over,
    probe,
    python_mounts,
    read_inside,
    remove,
    workspace,
)
from baleen.environments.sandbox.command import find_tools
from baleen.environments.sandbox.seccomp import seccomp_filter
from baleen.environments.task import ToolFailure
from tests.environments.hostile import SMALL, readable, words

ROOT = Path(__file__).parent.parent.parent


def test_an_honest_program() -> None:
    outcome = Sandbox(env={"GREETING": "hallo"}).run(
        ["sh", "-c", "cat; echo $GREETING; id -u >&2; exit 3"], b"in\n"
    )
    assert (outcome.returncode, outcome.ended, outcome.reason) == (3, "exit", "")
    assert (outcome.stdout, outcome.stderr) == (b"in\nhallo\n", f"{SANDBOX_ID}\n".encode())
    assert 0 < outcome.seconds < 60


def test_much_input_and_output_at_once() -> None:
    """More than the pipes hold, both ways: nobody may wait for the other."""
    text = os.urandom(1 << 20)
    outcome = Sandbox(limits=replace(SMALL, output_bytes=2 << 20)).run(["cat"], text)
    assert outcome.stdout == text
    assert Sandbox().run(["true"], text).returncode == 0  # it reads none of it


def test_a_program_that_is_not_there() -> None:
    outcome = Sandbox().run(["/nowhere/program"])
    assert outcome.returncode == 127 and b"No such file" in outcome.stderr


@pytest.mark.parametrize("argument", ["x" * (1 << 20), "nul \0", "half a pair \ud800"])
def test_arguments_that_no_program_can_have(argument: str) -> None:
    """They come from a model as likely as not: its fault, and no reason to stop."""
    before = len(os.listdir("/proc/self/fd"))
    outcome = Sandbox().run(["sh", "-c", argument])
    assert (outcome.returncode, outcome.ended) == (126, "exit") and outcome.stderr.startswith(
        b"cannot be run: "
    )
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_temporary_folder_is_new_each_time() -> None:
    sandbox = Sandbox()
    assert (
        sandbox.run(["sh", "-c", "echo x > /tmp/x; echo y > /dev/shm/y; mktemp; cd /var/tmp"]).returncode == 0
    )
    assert sandbox.run(["sh", "-c", "ls -A /tmp /dev/shm; pwd"]).stdout == b"/dev/shm:\n\n/tmp:\n/tmp\n"


def test_limits_of_one_run() -> None:
    sandbox = Sandbox()
    limits = SandboxLimits(wall_seconds=0.3)
    assert sandbox.run(["sleep", "60"], limits=limits).ended == "wall"


def test_what_python_needs_works() -> None:
    """Pipes of event loops, locks of multiprocessing, subprocesses, users by name, a clock, randomness."""
    got = words(
        "import asyncio, getpass, multiprocessing, subprocess, tempfile\n"
        "print(asyncio.run(asyncio.sleep(0, 'slept')), getpass.getuser(), multiprocessing.Lock() is not None)\n"
        "print(subprocess.run(['echo', 'sub'], capture_output=True, text=True).stdout.strip())\n"
        "print(os.path.dirname(tempfile.mkdtemp()), len(os.urandom(4)), time.time() > 1e9)"
    )
    assert got == ["slept", "sandbox", "True", "sub", "/tmp", "4", "True"]


def test_a_long_lived_program() -> None:
    with Sandbox().start(["sh", "-c", "echo ready; echo oops >&2; cat"]) as process:
        assert process.stdout.readline() == b"ready\n"
        for word in (b"one\n", b"two\n"):
            process.stdin.write(word)
            assert process.stdout.readline() == word
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(10) == 0
    assert process.errors == b"oops\n" and process.reason == ""
    process.close()


def test_a_long_lived_program_outlives_the_thread_that_started_it() -> None:
    """The kernel's "die with the parent" means a thread."""
    started = []

    def start() -> None:
        started.append(Sandbox().start(["sh", "-c", "echo ready; exec cat"]))
        started[0].stdout.readline()

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    time.sleep(0.2)
    with started[0] as process:
        process.stdin.write(b"still here\n")
        assert process.stdout.readline() == b"still here\n"


def test_a_long_lived_program_is_watched() -> None:
    limits = SandboxLimits(memory_bytes=512 << 20, total_memory_bytes=64 << 20)
    program = "x = b'x' * (200 << 20); print(flush=True); import time; time.sleep(60)"
    with Sandbox(python_mounts(), limits).start([sys.executable, "-I", "-S", "-c", program]) as process:
        assert process.wait(20) == 128 + 9
        assert "memory" in process.reason


def test_many_long_lived_programs_leave_nothing_behind() -> None:
    sandbox = Sandbox()
    sandbox.start(["cat"]).close()  # what is opened once for all
    before, threads = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(10):
        sandbox.start(["cat"]).close()
    assert len(os.listdir("/proc/self/fd")) == before and threading.active_count() == threads


def test_writable_mounts_and_what_they_leave() -> None:
    with workspace() as work:
        (work / "given").write_text("a")
        hand_over(work)
        sandbox = Sandbox([Mount(work, "/box", writable=True)], cwd="/box")
        outcome = sandbox.run(
            [
                "sh",
                "-ec",
                "echo b >> given; mkdir -p d/e; echo c > d/e/f; ln -s given l; mkfifo p; chmod 0 d/e",
            ]
        )
        assert outcome.returncode == 0, outcome
        assert read_inside(work, "given") == b"ab\n"
        for name in ("l", "p", "d", "l/x"):
            with pytest.raises(MountError, match="not a plain file"):
                read_inside(work, name)
        with pytest.raises(MountError, match="at most 2 bytes"):
            read_inside(work, "given", most=2)
        with pytest.raises(MountError, match="below"):
            read_inside(work, "../x")
        with pytest.raises(FileNotFoundError):
            read_inside(work, "nothing")
        assert sandbox.run(["chmod", "0", "/box"]).returncode == 0
    assert not work.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_giving_files_away_follows_no_links(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "work" / "folder").symlink_to(tmp_path)
    hand_over(tmp_path / "work")
    assert (tmp_path / "mine").stat().st_uid == tmp_path.stat().st_uid == 0
    assert (tmp_path / "work" / "link").lstat().st_uid == SANDBOX_ID
    remove(tmp_path / "work")
    assert (tmp_path / "mine").exists()


def test_mounts_that_are_refused(tmp_path: Path) -> None:
    folder, link = readable(tmp_path) / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    for mount, message in (
        (Mount(tmp_path / "none", "/box"), "does not exist"),
        (Mount(link, "/box"), f"real path, {folder}"),
        (Mount(folder, "box"), "absolute path"),
        (Mount(folder, "/"), "absolute path"),
        (Mount(folder, "/box/../usr"), "absolute path"),
    ):
        with pytest.raises(MountError, match=message):
            Sandbox([mount])
    with pytest.raises(MountError, match="would hide /box/inner"):
        Sandbox([Mount(folder, "/box/inner"), Mount(folder, "/box")])
    with pytest.raises(ToolFailure, match="did not start: bwrap: .*nowhere"):
        Sandbox([Mount(folder, "/usr/nowhere")]).run(["true"])
    with pytest.raises(ToolFailure, match="did not start: bwrap: .*elsewhere"):
        Sandbox(cwd="/elsewhere").run(["true"])


@pytest.mark.skipif(os.geteuid() != 0, reason="others can mount only what they can read")
def test_mounts_that_the_sandbox_could_not_read(tmp_path: Path) -> None:
    """Folders on the way to a mount may be closed; what is mounted may not."""
    inner = tmp_path / "closed" / "inner"
    inner.mkdir(parents=True)
    (inner / "file").write_text("text")
    inner.parent.chmod(0o700)
    assert Sandbox([Mount(inner, "/box")]).run(["cat", "/box/file"]).stdout == b"text"
    assert Sandbox([Mount(inner / "file", "/f")]).run(["cat", "/f"]).stdout == b"text"
    inner.chmod(0o700)
    with pytest.raises(MountError, match=rf"{inner}: .*chmod -R o\+rX"):
        Sandbox([Mount(inner, "/box")])


def python(program: str, **environment: str) -> str:
    """What a new interpreter prints, whose probe has not been made yet."""
    path = os.environ["PATH"]
    env = {"PATH": path, "PYTHONPATH": str(ROOT)} | environment
    told = subprocess.run(
        [sys.executable, "-c", program], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    return told.stdout + told.stderr


TRY = (
    "from baleen.environments.sandbox import Sandbox, SandboxUnavailable\n"
    "try: Sandbox(); print('sandbox')\nexcept SandboxUnavailable as e: print(e)"
)


def test_without_bubblewrap_there_is_one_clear_line() -> None:
    told = python(TRY, PATH="")
    assert told == (
        "no sandbox: bwrap, unshare, setpriv, prlimit not found; install with `apt-get install bubblewrap util-linux`\n"
    )


@pytest.mark.parametrize(
    ("tool", "says", "told"),
    [
        (
            "unshare",
            "unshare: unshare failed: Operation not permitted",
            ("kernel forbids", "max_user_namespaces"),
        ),
        ("bwrap", "bwrap: Unknown option --disable-userns", ("too old", "apt-get install bubblewrap")),
        (
            "setpriv",
            "setpriv: setresuid failed: Invalid argument",
            ("no sandbox: setpriv: setresuid failed",),
        ),
    ],
)
def test_kernels_and_tools_that_will_not_do(tool: str, says: str, told: tuple[str, ...]) -> None:
    if tool == "setpriv" and os.geteuid() != 0:
        pytest.skip("used by root only")
    with workspace() as folder:  # the tools run under the sandbox's uid
        (folder / tool).write_text(f"#!/bin/sh\necho '{says}' >&2\necho more >&2\nexit 1\n")
        (folder / tool).chmod(0o755)
        line = python(TRY, PATH=f"{folder}:{os.environ['PATH']}")
    assert line.count("\n") == 1 and all(text in line for text in told), line


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        ("command._rlimits = lambda limits: ['--core=0']", "the process limit, the memory limit"),
        ("command._namespaces = share_net", "no network"),
        (
            "command.seccomp_filter = lambda unix: struct.pack('<HBBI', 6, 0, 0, 0x7fff0000)",
            "the system call filter",
        ),
        ("command._INIT = command._INIT.replace('\"$1\"', 'size=1m', 1)", "the number of files"),
        ("command._INIT = command._INIT.replace('\"$1\"', 'nr_inodes=19', 1)", "the size of /tmp"),
        ("command._system_view = lambda: [*view(), '--ro-bind', '/', '/host']", "hidden files"),
        ("command._system_view = lambda: [*view(), '--ro-bind', '/etc', '/etc']", "hidden files"),
        ("command._system_view = lambda: [*view(), '--ro-bind', '/usr', '/tmp']", "hidden files"),
    ],
)
def test_the_probe_notices_a_limit_that_is_not_enforced(broken: str, named: str) -> None:
    """A sandbox with one wall missing must not be given out."""
    told = python(
        "import struct\nfrom baleen.environments.sandbox import command\n"
        "namespaces, view = command._namespaces, command._system_view\n"
        f"def share_net(): return [*namespaces(), '--share-net']\n{broken}\n{TRY}"
    )
    assert told.startswith("no sandbox: this machine does not enforce ") and named in told, told


def test_an_installed_package_has_a_sandbox_too(tmp_path: Path) -> None:
    """The packages of our interpreter are mounted, ours among them, here below /tmp: that hides nothing less."""
    home = tmp_path.resolve() / "venv"
    venv.create(home, symlinks=True)
    packages = next(home.glob("lib/python3*/site-packages"))
    shutil.copytree(ROOT / "baleen", packages / "baleen", ignore=shutil.ignore_patterns("__pycache__"))
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "dependencies.pth").write_text("\n".join(dependencies))
    told = subprocess.run(
        [home / "bin" / "python", "-c", f"import baleen; print(baleen.__file__)\n{TRY}"],
        env={"PATH": os.environ["PATH"]},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert told.stdout.splitlines() == [f"{packages}/baleen/__init__.py", "sandbox"], told.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a uid to drop")
def test_the_probe_notices_that_root_stays_root() -> None:
    """RLIMIT_NPROC does nothing for root, whatever its uid is called inside."""
    told = python(
        f"from baleen.environments.sandbox import command\ncommand.drops_uid = lambda: False\n{TRY}"
    )
    assert "does not enforce" in told and "the process limit" in told


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = find_tools()
    for name, value, message in (
        ("release", "5.10.0-8-amd64", "Linux 5.14 or newer, this is 5.10.0-8-amd64"),
        ("machine", "riscv64", "x86_64 or aarch64"),
    ):
        with monkeypatch.context() as patch, pytest.raises(SandboxUnavailable, match=message):
            patch.setattr(platform, name, lambda value=value: value)
            probe._require.cache_clear()
            probe.require_sandbox(tools)


def test_the_filter_is_well_formed_on_both_machines() -> None:
    """Every jump ends inside the program, whose last instruction returns; kernels take at most 4096."""
    for machine in ("x86_64", "aarch64"):
        code = seccomp_filter(unix_sockets=True, machine=machine)
        steps = list(struct.iter_unpack("<HBBI", code))
        assert len(steps) < 4096 and steps[-1][0] == 0x06
        for at, (kind, if_true, if_false, _) in enumerate(steps):
            assert kind == 0x06 or at + 1 + max(if_true, if_false) < len(steps)


def square(number: int) -> int:
    return number * number


def hang() -> None:
    while True:
        time.sleep(1)


def burst() -> int:
    return len("x" * (8 << 30))


def shout() -> str:
    print("noise" * 100_000)
    sys.stderr.write("noise" * 100_000)
    return "done"


def nested(depth: int) -> object:
    return json.loads("[" * depth)


def not_json() -> bytes:
    return b"bytes"


def die() -> None:
    os._exit(3)


def test_a_worker_survives_whatever_a_grader_meets() -> None:
    with Worker() as worker:
        assert worker.call(square, 7).value == 49
        pid = worker.call(os.getpid).value
        assert "MemoryError" in worker.call(burst).failure
        assert "RecursionError" in worker.call(nested, 200_000).failure
        assert worker.call(shout).value == "done"
        assert "not JSON" in worker.call(not_json).failure
        assert worker.call(os.getpid).value == pid != os.getpid()
        assert worker.call(hang, seconds=0.2).failure == "killed after 0.2 seconds"
        assert worker.call(die).failure == "the worker died"
        assert worker.call(square, 8).value == 64 and worker.call(os.getpid).value != pid
    assert not Path(f"/proc/{pid}").exists()


def test_a_worker_ends_with_us() -> None:
    told = python(
        "import os\nfrom baleen.environments.sandbox import Worker\n"
        "w = Worker(); print(w.call(os.getpid).value, flush=True); os.kill(os.getpid(), 9)"
    )
    deadline = time.monotonic() + 10
    while Path(f"/proc/{int(told)}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{int(told)}").exists()
