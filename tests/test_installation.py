"""What people are told to type installs this project, for the Python that runs, from where they stand."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

import baleen
from baleen import installation

ROOT = Path(__file__).parent.parent


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_name_and_the_version_are_those_of_the_project() -> None:
    assert project()["name"] == installation.DISTRIBUTION != "baleen"
    assert "version" not in project() and re.fullmatch(r"\d+\.\d+\.\d+", baleen.__version__)


def test_in_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(ROOT / ".venv" / "bin" / "python"))
    monkeypatch.chdir(ROOT)
    assert installation.install_command("agents") == ".venv/bin/python -m pip install -e '.[agents]'"
    assert installation.install_command() == ".venv/bin/python -m pip install -e '.'"
    monkeypatch.chdir(tmp_path)
    assert installation.install_command("x") == f"{ROOT}/.venv/bin/python -m pip install -e '{ROOT}[x]'"


def test_without_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "__file__", str(tmp_path / "baleen" / "installation.py"))
    monkeypatch.setattr(sys, "executable", "/opt/python")
    assert installation.install_command("agents") == "/opt/python -m pip install 'baleen-llm[agents]'"


def test_nobody_is_sent_to_somebody_elses_package() -> None:
    """`pip install baleen` fetches an unrelated project."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *(ROOT / "baleen").rglob("*.py")]
    wrong = [
        str(path) for path in texts if re.search(r"pip install[^\n]*['\" ]baleen(?!-llm)\b", path.read_text())
    ]
    assert len(texts) > 100 and not wrong


def test_no_message_sends_anybody_to_a_file_that_only_a_checkout_has() -> None:
    """Docs are not in the wheel: outside docstrings and comments no text names them."""
    import ast

    wrong = []
    for path in (ROOT / "baleen").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            text = node.value if isinstance(node, ast.Constant) and id(node) not in docs else None
            if isinstance(text, str) and re.search(r"\b(docs|recipes|benchmarks)/\w", text):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {text}")
    assert not wrong, wrong
