"""What users without a checkout get: the wheel, in an environment of its own, runs the commands."""

import json
import os
import re
import subprocess
import sys
import tarfile
import urllib.request
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
Command = Callable[..., str]

SMALL = """
extends = "rl"
text_bytes = 20_000
[[stage]]
name = "rl"
steps = 1
prompts_per_step = 2
group_size = 2
max_tokens = 8
tasks.sum = { difficulties = [3] }
[evaluation]
attempts = 2
max_tokens = 8
tasks.sum = [3]
"""

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path, codes: tuple[int, ...] = (0,)) -> str:
    """What the command prints; nothing of this checkout is in its environment."""
    hidden = ("PYTHONPATH", "VIRTUAL_ENV")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode in codes, (
        f"{command} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    )
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands run and leave what they make."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def baleen(dist: Path, folder: Path) -> Command:
    """`baleen` of a new environment into which the wheel was installed with what it asks for and nothing else."""
    home = folder / "venv"
    venv.create(home, with_pip=True, symlinks=True)
    [wheel] = dist.glob("*.whl")
    pip = [home / "bin" / "pip", "install", "--quiet", "--no-compile"]
    run(*pip, "-c", ROOT / "constraints.txt", wheel, cwd=folder)
    where = run(home / "bin" / "python", "-c", "import baleen; print(baleen.__file__)", cwd=folder)
    assert where.startswith(str(home)), f"{where} is not what was installed"

    def command(*words: str | Path, codes: tuple[int, ...] = (0,)) -> str:
        return run(home / "bin" / "baleen", *words, cwd=folder, codes=codes)

    return command


@pytest.fixture(scope="module")
def model(baleen: Command, folder: Path) -> Path:
    """A model of the smoke run."""
    baleen("quickstart", "--smoke", "--threads", "1", "--out", "runs/smoke")
    assert (folder / "runs" / "smoke" / "report.html").exists()
    return folder / "runs" / "smoke" / "model"


def test_every_file_of_the_package_is_in_it(dist: Path) -> None:
    package = ROOT / "baleen"
    files = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    names = {str(path.relative_to(ROOT)) for path in files}
    [wheel], [source] = dist.glob("*.whl"), dist.glob("*.tar.gz")
    assert len(names) > 200 and names <= set(zipfile.ZipFile(wheel).namelist())
    with tarfile.open(source) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    assert (
        names | {"Makefile", "constraints.txt", "tools/setup_environment.py", "docs/quickstart.md"} <= inside
    )


def test_doctor(baleen: Command, kernels: None) -> None:
    checks = {check["name"]: check for check in json.loads(baleen("doctor", "--json"))["checks"]}
    assert [checks[name]["state"] for name in ("packages", "torch", "kernels", "sandbox", "disk")] == [
        "ok"
    ] * 5
    assert "pip install 'baleen-llm[agents]'" in checks["extra agents"]["value"]


def test_plan(baleen: Command) -> None:
    assert json.loads(baleen("plan", "--preset", "v3.2", "--json"))["parameters"]


def test_chat(baleen: Command, model: Path) -> None:
    baleen("chat", model, "--once", "Add 7+5.", "--max-tokens", "8")


def test_rl(baleen: Command, model: Path, folder: Path) -> None:
    (folder / "small.toml").write_text(SMALL)
    words = ["rl", model, "--recipe", "small.toml", "--threads", "1", "--out", "runs/rl"]
    baleen(*words, codes=(0, 1))  # 1: nothing was learnt
    assert (folder / "runs" / "rl" / "model" / "config.json").exists()


def test_synth_and_agent(baleen: Command, folder: Path) -> None:
    """Environments whose programs run in the sandbox, played by their own solutions."""
    words = ["--domains", "bank", "--environments", "2", "--levels", "1", "--workers", "1"]
    baleen("synth", "general", *words, "--out", "tasks")
    tasks = (folder / "tasks" / "tasks.jsonl").read_text().splitlines()
    baleen("agent", "run", "tasks/tasks.jsonl", "--policy", "scripted", "--out", "runs/agent")
    episodes = [
        json.loads(line) for line in (folder / "runs/agent/trajectories.jsonl").read_text().splitlines()
    ]
    assert len(episodes) >= len(tasks) > 0 and (folder / "runs" / "agent" / "trajectories.html").exists()


def test_serve(baleen: Command, model: Path, folder: Path) -> None:
    command = [folder / "venv" / "bin" / "baleen", "serve", model, "--port", "0"]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as server:
        try:
            assert server.stdout is not None
            told = ""
            while (found := re.search(r"ready at (http://\S+)", told)) is None:
                told += (line := server.stdout.readline())
                assert line, f"the server ended: {told}"
            address = found[1]
            with urllib.request.urlopen(f"{address}/v1/models", timeout=60) as listed:
                name = json.load(listed)["data"][0]["id"]
            messages = [{"role": "user", "content": "Add 7+5."}]
            question = {"model": name, "messages": messages, "max_tokens": 4}
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(
                f"{address}/v1/chat/completions", json.dumps(question).encode(), headers
            )
            with urllib.request.urlopen(request, timeout=120) as answer:
                assert json.load(answer)["usage"]["completion_tokens"] > 0
            with urllib.request.urlopen(address, timeout=60) as page:
                assert b"<html" in page.read()
        finally:
            server.terminate()
