"""The how-tos of the documentation do what they say: their commands and snippets are taken from the pages and run."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import torch

from baleen.chat import train_tokenizer
from baleen.cli.main import main
from baleen.config import ModelConfig
from baleen.config.recipe import load_recipe
from baleen.config.toml_file import parse_settings
from baleen.model import Transformer, save_model

ROOT = Path(__file__).parent.parent
MODEL = Path("runs", "quickstart", "model")


def blocks(page: str, language: str) -> list[str]:
    """The fenced blocks of a how-to."""
    text = (ROOT / "docs" / "howto" / f"{page}.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}[^\n]*\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def commands(page: str, name: str) -> list[list[str]]:
    """The words after `baleen` or `python` of each such command of a how-to."""
    lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
    return [words[1:] for line in lines if (words := shlex.split(line, comments=True))[:1] == [name]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model of random weights where the how-tos have the quickstart's."""
    folder = tmp_path_factory.mktemp("howto")
    tokenizer = train_tokenizer(["Add 7+5+9. Guess my number"] * 2, 300, folder / MODEL)
    config = ModelConfig.preset("tiny", vocab_size=tokenizer.vocab_size, max_position_embeddings=512)
    save_model(Transformer(config).initialize(torch.Generator().manual_seed(0)), folder / MODEL)
    return folder


@pytest.fixture
def inside(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    return folder


def test_plan(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = commands("plan", "baleen")
    assert len(found) == 6
    for words in found:
        assert main(words) == 0
    assert "671B" in capsys.readouterr().out
    assert Path("cost.svg").read_text().startswith("<?xml") or Path("cost.svg").read_text().startswith("<svg")


def test_train(inside: Path) -> None:
    """Running it takes minutes; `examples/train_your_recipe.py`, on the same page, is run by another test."""
    [recipe] = blocks("train", "toml")
    Path("mine.toml").write_text(recipe)
    first, second = commands("train", "baleen")
    page = (ROOT / "docs" / "howto" / "train.md").read_text(encoding="utf-8")
    *others, last = load_recipe(Path(first[1])).names
    assert f"runs {', '.join(others)} and {last}" in page
    changed = load_recipe(Path(second[1]), parse_settings([second[second.index("--set") + 1]]))
    assert changed.stage("specialist_sums").steps == 4 and changed.stage("specialist_sums").save_as == "model"


def test_rl(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The example on the page is run by another test; here are the first of the tasks that it writes."""
    [[example, _, out]] = commands("rl", "python")
    sum_task = runpy.run_path(str(ROOT / example))["sum_task"]
    Path(out).mkdir(parents=True)
    rows = [json.dumps(sum_task(0, b).to_row()) + "\n" for b in range(10)]
    Path(out, "tasks.jsonl").write_text("".join(rows))
    play, train = commands("rl", "baleen")
    assert main([*play, "--max-answer-tokens", "8"]) == 0
    assert "80 episodes of 10 tasks" in capsys.readouterr().out
    small = {"rl.steps": 1, "rl.prompts_per_step": 2, "rl.max_tokens": 8, "text_bytes": 20_000}
    less = [word for key, value in small.items() for word in ("--set", f"{key}={value}")]
    assert main([*train, "--threads", "1", *less]) == 0
    assert Path("runs", "rl", "report.html").exists()


@pytest.mark.parametrize("page", ["environment", "train", "rl"])
def test_the_example_is_there(page: str) -> None:
    """That it runs is held by tests/test_examples.py."""
    [[example, *_]] = commands(page, "python")
    assert (ROOT / example).is_file() and f"`{example}`" in (ROOT / f"docs/howto/{page}.md").read_text()


@pytest.fixture
def address(inside: Path) -> Iterator[str]:
    """Where the first command of the how-to serves, on a port that is free."""
    words = [*commands("serve", "baleen")[0], "--port", "0"]
    del words[2:4]  # the port of the page
    command = [sys.executable, "-m", "baleen.cli.main", *words]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield next(found[0] for line in server.stdout if (found := re.search(r"http://[\d.:]+", line)))
        finally:
            server.terminate()


def test_serve(address: str) -> None:
    page = "http://127.0.0.1:8000"
    [body] = re.findall(r"-d '(.*?)'", blocks("serve", "sh")[1], re.DOTALL)
    answer = httpx.post(
        f"{address}/v1/chat/completions", json=json.loads(body) | {"max_tokens": 8}, timeout=120
    )
    assert answer.status_code == 200 and answer.json()["usage"]["completion_tokens"] == 8
    [program] = blocks("serve", "python")
    assert page in program
    assert run("-c", program.replace(page, address).replace("temperature=0", "temperature=0, max_tokens=8"))
    assert httpx.get(f"{address}/health").status_code == httpx.get(f"{address}/metrics").status_code == 200
    named = {model["id"] for model in httpx.get(f"{address}/v1/models").json()["data"]}
    assert named == {"quickstart", "deepseek-chat", "deepseek-reasoner"}
    assert main(commands("serve", "baleen")[-1]) == 0


def run(*words: str) -> str:
    """What a Python program prints; those of examples/ are run from here."""
    program = [str(ROOT / word) if word.startswith("examples/") else word for word in words]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *program], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout
