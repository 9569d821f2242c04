"""Build .venv for `make setup`: say first what this machine lacks, then install, torch without CUDA if that will do.

The arguments are flags for every `pip install`. Needs the standard library alone and runs on Python 3.6, far enough
to say that it is too old.
"""

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import threading
import urllib.request
from collections import namedtuple
from importlib.util import find_spec

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
OTHER_INDEX = ("-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index")
# What the torch of constraints.txt has builds for; the oldest Python is that of pyproject.toml.
OLDEST, NEWEST, GLIBC, MACOS = (3, 11), (3, 14), (2, 28), (14,)
PROCESSORS = ("x86_64", "aarch64", "arm64")

# system: sys.platform; python, glibc, macos: version numbers, () where there is none; musl, rosetta: bool;
# missing: modules of the standard library that the distribution left out; others: Pythons here that would do.
Machine = namedtuple("Machine", "system processor python glibc macos musl rosetta missing others")


def this_machine():
    python = sys.version_info[:2]
    fitting = () if OLDEST <= python <= NEWEST else ("python3.13", "python3.12", "python3.11", "python3.14")
    return Machine(
        system=sys.platform,
        processor=platform.machine() if sys.maxsize > 2**32 else "32-bit " + platform.machine(),
        python=python,
        glibc=_numbers(platform.libc_ver()[1]) if platform.libc_ver()[0] == "glibc" else (),
        macos=_numbers(platform.mac_ver()[0]),
        musl="musl" in (sysconfig.get_config_var("HOST_GNU_TYPE") or ""),
        rosetta=sys.platform == "darwin" and _output("sysctl", "-n", "sysctl.proc_translated") == "1",
        missing=[name for name in ("venv", "ensurepip") if find_spec(name) is None],
        others=[name for name in fitting if _output(name, "--version")],
    )


def obstacle(machine):
    """Why nothing can be installed on this machine, and what to do, in one sentence; "" where it can."""
    version = ".".join(map(str, machine.python))
    if machine.system in ("win32", "cygwin", "msys"):
        return "Baleen does not run on Windows itself; run the same commands in WSL, which `wsl --install` sets up."
    if machine.python < OLDEST or machine.python > NEWEST:
        wanted = "Python {}.{} to {}.{}".format(*OLDEST, *NEWEST)
        remedy = (
            "{} is here, so type: make PYTHON={} quickstart".format(*machine.others[:1] * 2)
            if machine.others
            else "install one (Debian, Ubuntu: apt install python3.12-venv; macOS: brew install python@3.12; anywhere: "
            "uv python install 3.12), then type: make PYTHON=python3.12 quickstart"
        )
        return "Baleen needs {}, this is {}; {}".format(wanted, version, remedy)
    if machine.rosetta:
        return "This Python is an Intel build, for which there is no torch; install one for Apple silicon."
    if machine.system == "darwin" and machine.processor == "x86_64":
        return "There is no torch for Macs with Intel processors since 2.3; use a Linux machine or container."
    if machine.processor not in PROCESSORS:
        return "There is no torch for {}; use a 64-bit x86 or ARM machine.".format(machine.processor)
    if machine.macos and machine.macos < MACOS:
        return "torch needs macOS {} or newer, this is {}.".format(*MACOS, ".".join(map(str, machine.macos)))
    if machine.musl or (machine.glibc and machine.glibc < GLIBC):
        found = "musl" if machine.musl else "glibc {}.{}".format(*machine.glibc[:2])
        remedy = "use a newer Debian, Ubuntu or Fedora, or a container of one"
        return "torch needs glibc {}.{} or newer, this system has {}; {}.".format(*GLIBC, found, remedy)
    if machine.missing:
        return "This Python lacks {}; on Debian and Ubuntu: apt install python{}-venv".format(
            " and ".join(machine.missing), version
        )
    return ""


def torch_index(flags, system=sys.platform, index=CPU_INDEX):
    """Flags that make pip take torch's CPU build, where a GPU would not use another and `flags` name no index."""
    if system != "linux" or _has_nvidia() or any(flag.split("=")[0] in OTHER_INDEX for flag in flags):
        return []
    if not reachable(index + "/torch/"):
        _say("{} cannot be reached: pip's own index gives torch (PyPI: with CUDA, some 3 GB)".format(index))
        return []
    _say("no NVIDIA GPU: torch's CPU build (some 200 MB) from {}".format(index))
    return ["--index-url", index]


def reachable(url, seconds=5.0):
    """Whether the address answers in that time, the search for its name included."""
    answers = []

    def ask():
        try:
            with urllib.request.urlopen(url, timeout=seconds) as answer:
                answers.append(answer.status)
        except Exception:  # noqa: BLE001 - whatever it is, the address is of no use
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return answers == [200]


def install(python, flags, index, run=subprocess.call):
    """torch first, from `index` if that is not empty, then Baleen with the rest. Returns pip's exit code."""
    pip = [python, "-m", "pip", "install", *flags, "-c", "constraints.txt"]
    code = run([*pip, *index, "torch"], cwd=ROOT)
    if code and index:
        _say("that failed; pip's own index gives torch (PyPI: with CUDA, some 3 GB)")
        code = run([*pip, "torch"], cwd=ROOT)
    if not code:
        _say("Baleen and its other packages")
        code = run([*pip, "--quiet", "-e", "."], cwd=ROOT)
    if code:
        _say("pip failed, as it says above; PIP_FLAGS='...' gives it flags, such as a mirror's --index-url")
    return code


def main(flags):
    reason = obstacle(this_machine())
    if reason:
        print(reason, file=sys.stderr)
        return 1
    code = subprocess.call([sys.executable, "-m", "venv", VENV])
    return code or install(os.path.join(VENV, "bin", "python"), flags, torch_index(flags))


def _has_nvidia():
    driver = ("/proc/driver/nvidia/version", "/usr/lib/wsl/lib/libcuda.so.1")
    return any(map(os.path.exists, driver)) or shutil.which("nvidia-smi") is not None


def _numbers(version):
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _output(*command):
    try:
        return subprocess.check_output(command, stderr=subprocess.DEVNULL).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _say(text):
    print("setup: " + text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
