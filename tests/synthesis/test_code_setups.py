"""Set-up as an agent's task, and where sources come from: hostile archives, the user's folders."""

import io
import json
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from baleen.agent.model import Reply
from baleen.environments.code.tree import Tree, TreeError, read_folder
from baleen.synthesis.code import runtimes, setups
from baleen.synthesis.code.runtimes import prepare_runtime, runtime_key
from baleen.synthesis.code.setup_agents import ModelAgent, ScriptedAgent
from baleen.synthesis.code.setups import Attempt, Recipe, set_up
from baleen.synthesis.code.sources import Package, SourceError, read_sdist
from tests.synthesis.code_repos import PYTHON, REQUIREMENTS, put_runtime, tree_of, write_repository

FIRST = Recipe("pytest", REQUIREMENTS)


def after(output: str, passing: int = 0, trouble: str = "", recipe: Recipe = FIRST) -> Recipe | None:
    return ScriptedAgent().propose(tree_of(PYTHON), [Attempt(recipe, passing, 1, trouble, output)])


def test_the_script_reads_errors() -> None:
    assert ScriptedAgent().propose(tree_of(PYTHON), []) == FIRST
    assert ScriptedAgent().propose(tree_of({"a.py": ""}), []) is None
    src = tree_of({"src/a/__init__.py": "", "tests/test_a.py": ""})
    assert ScriptedAgent().propose(src, []) == Recipe("pytest", REQUIREMENTS, ("src", "."))
    found = after("ModuleNotFoundError: No module named 'yaml.nodes'\nNo module named 'freezegun'")
    assert found == Recipe("pytest", (*REQUIREMENTS, "PyYAML", "freezegun"))
    assert after("fixture 'mocker' not found", passing=3) == Recipe("pytest", (*REQUIREMENTS, "pytest-mock"))
    assert after("No module named 'shapes.missing'", passing=3) == FIRST  # nothing new to try
    older = after("PluggyTeardownRaisedWarning", trouble="no report")
    assert older == Recipe("pytest", ("pytest==8.3.5",))
    assert after("the same again", trouble="no report", recipe=older) == Recipe("pytest", ("pytest==7.4.4",))
    assert after("", trouble="time limit") is None


class Says:
    """A chat model that says the same thing always."""

    name = "says"

    def __init__(self, *answers: object) -> None:
        self.answers = [answer if isinstance(answer, str) else json.dumps(answer) for answer in answers]
        self.asked: list[str] = []

    def complete(self, messages: Sequence[dict], tools: Sequence[dict] = (), **options: object) -> Reply:
        self.asked.append(messages[-1]["content"])
        text = self.answers[min(len(self.asked), len(self.answers)) - 1]
        return Reply({"role": "assistant", "content": text}, "stop", 10, 0, 5, 0.25)


def test_a_model_proposes_names_only() -> None:
    good = {"runner": "pytest", "requirements": ["pytest==7.4.4", "six"], "python_path": ["src"]}
    model = Says(good)
    assert ModelAgent(model).propose(tree_of(PYTHON), []) == Recipe(
        "pytest", ("pytest==7.4.4", "six"), ("src",)
    )
    assert "shapes/area.py" in model.asked[0]
    for bad in (
        "I would use pytest",
        good | {"requirements": ["git+https://example.org/x"]},
        good | {"requirements": ["--index-url=http://x"]},
        good | {"requirements": ["./local"]},
        good | {"python_path": ["../.."]},
        good | {"runner": "make"},
        [good],
    ):
        assert ModelAgent(Says(bad)).propose(tree_of(PYTHON), []) is None


def test_requirements_are_checked_before_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "run_pip", lambda *arguments: pytest.fail("pip was called"))
    with pytest.raises(ValueError, match="not a package name"):
        prepare_runtime(["pytest", "-e ."], tmp_path)


def package(**files: str) -> Package:
    base = {path: text for path, text in PYTHON.items() if path.startswith("shapes")}
    return Package(
        "tiny", "1", tree_of(base | {f"tests/test_{name}.py": text for name, text in files.items()})
    )


def test_suites_that_are_empty_hang_flicker_or_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_runtime(tmp_path)
    monkeypatch.setattr(setups, "SUITE_SECONDS", 5.0)
    monkeypatch.setattr(setups, "MAX_ATTEMPTS", 1)

    def reason(version: str, **files: str) -> str:
        made = Package("tiny", version, package(**files).tree)
        return set_up(made, tmp_path, ScriptedAgent()).reason

    coin = "import os, pytest\n@pytest.mark.parametrize('n', range(40))\ndef test_c(n): assert os.urandom(1)[0] < 200"
    assert reason("1", a="def no_test(): pass") == "empty suite"
    assert reason("2", a="import time\ndef test_a(): time.sleep(60)") == "hanging suite"
    assert reason("3", a=coin) == "flaky suite"
    assert (
        reason("4", a="def test_a(): pass\ndef test_b(): assert 0\ndef test_c(): assert 0")
        == "suite mostly fails"
    )
    assert set_up(Package("tiny", "5", tree_of({"a.py": ""})), tmp_path, ScriptedAgent()).reason == (
        "no test suite found"
    )


def test_what_was_found_is_kept(tmp_path: Path) -> None:
    key = put_runtime(tmp_path)
    asked = []

    class Agent:
        name = "second"

        def propose(self, tree: Tree, attempts: Sequence[Attempt]) -> Recipe | None:
            asked.append(list(attempts))
            recipes = [Recipe("pytest", REQUIREMENTS, ("nowhere",)), Recipe("pytest", REQUIREMENTS, (".",))]
            return recipes[len(attempts)] if len(attempts) < 2 else None

    made = Package("tiny", "1", {p: e for p, e in tree_of(PYTHON).items() if p != "CHANGES.md"})
    first = set_up(made, tmp_path, Agent())
    assert first.reason == "" and first.attempts == 2 and len(first.passing) == 4
    assert first.suite.runtime == key and first.suite.seconds >= 20
    count = len(asked)
    assert set_up(made, tmp_path, Agent()) == first and len(asked) == count
    changed = Package("tiny", "1", made.tree | tree_of({"tests/test_more.py": "def test_more(): pass"}))
    assert len(set_up(changed, tmp_path, Agent()).passing) == 5 and len(asked) > count


def test_hostile_archives(tmp_path: Path) -> None:
    path = tmp_path / "evil-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:

        def add(name: str, size: int = 1, **attributes: object) -> None:
            member = tarfile.TarInfo(name)
            member.size = size
            for key, value in attributes.items():
                setattr(member, key, value)
            archive.addfile(member, io.BytesIO(b"x" * size))

        add("evil-1.0/good.py", mode=0o755)
        add("evil-1.0/../../escaped.py")
        add("/etc/absolute.py")
        add("evil-1.0//double.py")
        add("evil-1.0/big.bin", size=(1 << 20) + 1)
        add("evil-1.0/link", size=0, type=tarfile.SYMTYPE, linkname="/etc/passwd")
        add("evil-1.0/device", size=0, type=tarfile.CHRTYPE)
        add("evil-1.0/hard", size=0, type=tarfile.LNKTYPE, linkname="evil-1.0/good.py")
    found = read_sdist(path, "Evil")
    assert found.key == "evil-1.0"
    assert dict(found.tree) == {"good.py": ("100755", b"x"), "etc/absolute.py": ("100644", b"x")}
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(SourceError, match="cannot be read"):
        read_sdist(path, "evil")


def test_own_folders(tmp_path: Path) -> None:
    folder = write_repository(
        tmp_path / "own", PYTHON | {".env": "KEY=1", "node_modules/x.js": "", "build/a.py": ""}
    )
    (folder / "link.py").symlink_to("/etc/passwd")
    assert set(read_folder(folder)) == {*PYTHON, ".env"}
    for command in (["init", "-q"], ["add", "shapes", "tests"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    assert set(read_folder(folder)) == {*PYTHON} - {"CHANGES.md"}, "only tracked files where there is a .git"
    (tmp_path / "empty").mkdir()
    with pytest.raises(TreeError, match="no files"):
        read_folder(tmp_path / "empty")


def test_runtimes_are_named_by_what_was_asked_for() -> None:
    assert runtime_key(["a", "b"]) == runtime_key(["b", "a"]) != runtime_key(["a", "b==1"])
