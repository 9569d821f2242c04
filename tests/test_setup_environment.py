"""`make setup` says first what is missing, and takes torch's CPU build where it can and where that will do."""

import ast
import importlib.util
import subprocess
import sys
import threading
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "tools" / "setup_environment.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("setup_environment", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup = load()
DEBIAN = setup.Machine("linux", "x86_64", (3, 12), (2, 36), (), False, False, [], [])
MAC = setup.Machine("darwin", "arm64", (3, 13), (), (15, 1), False, False, [], [])


def test_machines_that_will_do() -> None:
    arm = DEBIAN._replace(processor="aarch64", python=(3, 11))
    assert [setup.obstacle(machine) for machine in (DEBIAN, MAC, arm, setup.this_machine())] == [""] * 4


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (DEBIAN._replace(python=(3, 9)), ["3.11 to 3.14", "this is 3.9", "install one", "PYTHON=python3.12"]),
        (
            DEBIAN._replace(python=(3, 9), others=["python3.13", "python3.11"]),
            ["python3.13 is here", "make PYTHON=python3.13"],
        ),
        (DEBIAN._replace(python=(3, 15)), ["3.11 to 3.14", "this is 3.15"]),
        (DEBIAN._replace(missing=["ensurepip"]), ["lacks ensurepip", "apt install python3.12-venv"]),
        (DEBIAN._replace(system="win32"), ["Windows", "WSL"]),
        (DEBIAN._replace(system="msys", python=(3, 6)), ["Windows", "WSL"]),
        (DEBIAN._replace(glibc=(), musl=True), ["glibc 2.28", "has musl"]),
        (DEBIAN._replace(glibc=(2, 17)), ["glibc 2.28", "has glibc 2.17"]),
        (DEBIAN._replace(processor="riscv64"), ["no torch for riscv64"]),
        (DEBIAN._replace(processor="32-bit x86_64"), ["32-bit"]),
        (MAC._replace(processor="x86_64"), ["Macs with Intel"]),
        (MAC._replace(processor="x86_64", rosetta=True), ["Intel build", "Apple silicon"]),
        (MAC._replace(macos=(13, 6)), ["macOS 14", "this is 13.6"]),
    ],
)
def test_each_obstacle_has_its_sentence(machine: Any, words: list[str]) -> None:
    told = setup.obstacle(machine)
    assert all(word in told for word in words) and told.count("\n") == 0, told


def test_its_limits_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == ">={}.{}".format(*setup.OLDEST)


def test_an_old_python_can_read_it() -> None:
    ast.parse(SCRIPT.read_text(encoding="utf-8"), feature_version=(3, 6))


def test_an_obstacle_ends_it_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(setup, "VENV", str(tmp_path / "venv"))
    monkeypatch.setattr(setup, "this_machine", lambda: DEBIAN._replace(missing=["venv"]))
    assert setup.main([]) == 1
    assert "python3.12-venv" in capsys.readouterr().err and not list(tmp_path.iterdir())


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of `folder` over HTTP."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index that has one torch, `2.13.0+cpu`, a wheel of nothing but its name."""
    folder, version = tmp_path / "index" / "torch", "2.13.0+cpu"
    folder.mkdir(parents=True)
    info = f"torch-{version}.dist-info"
    with zipfile.ZipFile(folder / f"torch-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    with served(folder.parent) as address:
        yield address


@pytest.fixture(autouse=True)
def _no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "_has_nvidia", lambda: False)


def test_the_cpu_build_is_installed_where_its_index_answers(index: str, tmp_path: Path, monkeypatch) -> None:
    flags = setup.torch_index([], "linux", index)
    assert flags == ["--index-url", index]
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    venv.create(tmp_path / "venv", with_pip=True, symlinks=True)
    python, commands = str(tmp_path / "venv" / "bin" / "python"), []

    def run(command: list[str], cwd: str) -> int:
        commands.append(command[4:])
        return subprocess.call(command, cwd=cwd) if "torch" in command else 0

    assert setup.install(python, ["--no-cache-dir"], flags, run) == 0
    assert commands[1] == ["--no-cache-dir", "-c", "constraints.txt", "--quiet", "-e", "."]
    shown = subprocess.run([python, "-m", "pip", "list"], capture_output=True, text=True).stdout
    assert "2.13.0+cpu" in shown


def test_only_where_it_will_do(index: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert setup.torch_index([], "darwin", index) == []
    for flags in (["--index-url", "x"], ["--extra-index-url=x"], ["-q", "--no-index", "-f", "wheels"]):
        assert setup.torch_index(flags, "linux", index) == []
    assert setup.torch_index(["--quiet"], "linux", index)
    monkeypatch.setattr(setup, "_has_nvidia", lambda: True)
    assert setup.torch_index([], "linux", index) == []


def test_an_index_that_cannot_be_reached_costs_one_line(
    index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for address in ("http://127.0.0.1:9", "http://no.such.host.invalid", "no address", f"{index}/nothing"):
        assert setup.torch_index([], "linux", address) == []
        told = capsys.readouterr().out
        assert told.count("\n") == 1 and "cannot be reached" in told and address in told


def test_a_silent_address_is_given_up() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        assert not setup.reachable(f"http://127.0.0.1:{silent.getsockname()[1]}", 0.2)


def test_an_index_that_breaks_off_falls_back(capsys: pytest.CaptureFixture[str]) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], cwd: str) -> int:
        commands.append(command)
        return int("--index-url" in command)

    assert setup.install("python", ["--proxy", "p"], ["--index-url", "cpu"], run) == 0
    pip = ["python", "-m", "pip", "install", "--proxy", "p", "-c", "constraints.txt"]
    assert commands == [[*pip, "--index-url", "cpu", "torch"], [*pip, "torch"], [*pip, "--quiet", "-e", "."]]
    assert "that failed" in capsys.readouterr().out


def test_a_failure_of_pip_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.install("python", [], [], lambda command, cwd: 3) == 3
    assert "PIP_FLAGS" in capsys.readouterr().out


def test_make_passes_the_flags_on() -> None:
    command = ["make", "-n", "-B", "setup", f"PYTHON={sys.executable}", "PIP_FLAGS=--proxy 'http://a b'"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60).stdout
    assert f"{sys.executable} tools/setup_environment.py --proxy 'http://a b'" in told
