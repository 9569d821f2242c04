"""`baleen synth code` from end to end: tiny repositories, releases and a model that writes bugs, good and bad."""

import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from baleen.agent.model import ModelFailure, Reply
from baleen.cli.synth_code import main
from baleen.config import UsageError
from baleen.environments import Task, environment_for, read_tasks
from baleen.environments.code import CodeWorld
from baleen.environments.code.edits import Edit
from baleen.synthesis import Candidate, Verdict, read_verdicts
from baleen.synthesis.code import Judge, ScriptedAgent, judging, open_base, own_folder, setups
from baleen.synthesis.code.issues import changelog_difference, checked_issue
from baleen.synthesis.code.judging import MutantWork, WrittenWork
from baleen.synthesis.code.mutant import Mutant
from baleen.synthesis.code.written import Request
from tests.synthesis.code_repos import CMAKE, NODE, PYTHON, put_runtime, tree_of, write_repository

ROOT = Path(__file__).parent.parent.parent
ENDED = {"role": "assistant", "content": "done"}


@pytest.fixture(autouse=True)
def _fewer_reruns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "RERUNS", 1)
    monkeypatch.setattr(setups, "RERUNS", 1)


def scores(task: Task, assets: Path) -> tuple[float, float, float]:
    """Of the solution, of nothing done, of the failing tests deleted: played in the world."""
    world = environment_for(task, assets)
    assert isinstance(world, CodeWorld)
    world.reset()
    untouched = world.score(ENDED)
    call = {"name": "bash", "arguments": json.dumps({"command": "rm -rf test tests"})}
    world.step({"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": call}]})
    deleted = world.score(ENDED)
    world._tree = world.solution
    return world.score(ENDED), untouched, deleted


def synth(out: Path, *arguments: str) -> tuple[list[Task], list[Verdict]]:
    assert main(["--out", str(out), "--workers", "1", *arguments]) == 0
    return read_tasks(out / "tasks.jsonl"), read_verdicts(out)


def test_own_python_repository(tmp_path: Path) -> None:
    repo = write_repository(tmp_path / "shapes", PYTHON)
    out = tmp_path / "out"
    put_runtime(out / "assets")
    arguments = ["--repo", str(repo), "--mutants", "5"]
    few, _ = synth(out, *arguments, "--tasks", "1")
    assert len(few) == 1
    tasks, verdicts = synth(out, *arguments)
    assert len(verdicts) == 5 and few[0] in tasks and len(tasks) >= 3
    assert len({verdict.candidate for verdict in verdicts}) == 5
    assert {verdict.reason for verdict in verdicts} <= {"", "no test notices", "no test passes"}
    assert synth(out, *arguments) == (tasks, verdicts), "a finished run has nothing to add"
    task = tasks[0]
    assert task.split == tasks[-1].split and task.family == "mutant" and task.difficulty == 1
    edit = task.data["edits"][0]
    assert edit["old"][0].strip() not in task.question and edit["path"] not in task.question
    assert task.data["fail_to_pass"][0] in task.question
    assert scores(task, out / "assets") == (1.0, 0.0, 0.0)


@pytest.mark.parametrize(("files", "runner"), [(NODE, "node"), (CMAKE, "ctest")], ids=["node", "ctest"])
def test_other_languages(tmp_path: Path, files: dict[str, str], runner: str) -> None:
    repo = write_repository(tmp_path / runner, files)
    out = tmp_path / "out"
    tasks, _ = synth(out, "--repo", str(repo), "--mutants", "6", "--tasks", "1")
    assert tasks[0].data["suite"]["runner"] == runner
    assert scores(tasks[0], out / "assets") == (1.0, 0.0, 0.0)


NEW = PYTHON | {
    "shapes/area.py": PYTHON["shapes/area.py"].replace("return width * height", "return abs(width * height)"),
    "shapes/__init__.py": "from shapes.area import rectangle, square\nfrom shapes.cube import cube\n",
    "shapes/cube.py": "def cube(side):\n    return side ** 3\n",
    "tests/test_cube.py": "from shapes import cube\n\n\ndef test_cube():\n    assert cube(2) == 8\n",
    "CHANGES.md": "# 1.1\n- #7: cubes\n\n# 1.0\n- first\n",
}
NOISE = NEW | {"CHANGES.md": "# 1.2\n- nothing\n\n" + NEW["CHANGES.md"]}
RENAMED = {path: text.replace("rectangle", "box") for path, text in NOISE.items() if "cube" not in path} | {
    "shapes/__init__.py": "from shapes.area import box, square\n"
}


def put_sdists(assets: Path, versions: dict[str, dict[str, str]]) -> None:
    (assets / "sdists").mkdir(parents=True)
    (assets / "versions").mkdir()
    (assets / "versions/shapes.json").write_text(json.dumps({"versions": list(versions)}))
    for version, files in versions.items():
        with tarfile.open(assets / f"sdists/shapes-{version}.tar.gz", "w:gz") as archive:
            for path, text in files.items():
                member = tarfile.TarInfo(f"shapes-{version}/{path}")
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))


def test_consecutive_releases(tmp_path: Path) -> None:
    out = tmp_path / "out"
    put_runtime(out / "assets")
    put_sdists(out / "assets", {"1.0": PYTHON, "1.1": NEW, "1.2": NOISE, "2.0": RENAMED})
    tasks, verdicts = synth(out, "--releases", "shapes==1.0..2.0", "--mutants", "0")
    assert [(v.candidate, v.reason) for v in verdicts] == [
        ("release shapes 1.0..1.1", ""),
        ("release shapes 1.1..1.2", "no change in source"),
        ("release shapes 1.2..2.0", "no test passes"),
    ]
    (task,) = tasks
    assert task.family == "release" and task.data["label"] == "feature"
    assert task.data["fail_to_pass"] == ["tests.test_cube::test_cube"]
    assert "#7: cubes" in task.question and "first" not in task.question
    world = environment_for(task, out / "assets")
    assert isinstance(world, CodeWorld)
    assert dict(world.tree) == dict(tree_of(PYTHON)), "the solver sees the old release, its tests too"
    assert scores(task, out / "assets") == (1.0, 0.0, 0.0)


class Model:
    """Answers in turn; an exception among the answers is raised."""

    name = "stand-in"

    def __init__(self, *answers: object, finish: str = "stop") -> None:
        self._answers, self._finish = list(answers), finish

    def complete(self, messages: Sequence[dict], tools: Sequence[dict] = (), **options: object) -> Reply:
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        text = answer if isinstance(answer, str) else json.dumps(answer)
        return Reply({"role": "assistant", "content": text}, self._finish, 100, 0, 20, 0.5)


BUG = {
    "old": "    return width * height",
    "new": "    return width * height + 1",
    "issue": "Areas of rectangles come out one too large: 2 by 5 should give 10.",
}


def test_bugs_written_by_a_model(tmp_path: Path) -> None:
    put_runtime(tmp_path)
    base = open_base(own_folder(write_repository(tmp_path / "shapes", PYTHON)), tmp_path, ScriptedAgent())

    def verdict(*answers: object, finish: str = "stop") -> Verdict:
        judge = Judge(tmp_path, ScriptedAgent(), Model(*answers, finish=finish), issues_by_model=False)
        return judge(Candidate("c", "written", WrittenWork(base, Request("shapes/area.py", (1, 4), 0))))

    kept = verdict(BUG)
    assert kept.reason == "" and kept.usage == {"prompt_tokens": 100, "completion_tokens": 20, "dollars": 0.5}
    (task,) = kept.tasks
    assert task.family == "written" and task.question.startswith(BUG["issue"])
    assert scores(task, tmp_path) == (1.0, 0.0, 0.0)
    assert not verdict("```json\n" + json.dumps(BUG) + "\n```").reason

    for answer, why in [
        ("Sure! Here is a bug: ...", "not JSON"),
        ([BUG], "not a JSON object"),
        (BUG | {"old": 3}, "not a text"),
        (BUG | {"old": "    return"}, "0 times"),
        (BUG | {"new": "    return width * height  # wrong"}, "changes nothing"),
        (BUG | {"new": "    return width *"}, "cannot be parsed"),
        (BUG | {"new": "    return width * height\n" * 30}, "longer"),
        (BUG | {"issue": "In shapes/area.py the area is wrong."}, "gives the fault away"),
        (BUG | {"issue": ""}, "not a text of 20"),
    ]:
        found = verdict(answer)
        assert found.reason == "model's answer" and why in found.detail, (answer, found.detail)
        assert found.usage["dollars"] == 0.5
    assert "length" in verdict(BUG, finish="length").detail
    assert verdict(ModelFailure("500")).reason == "no answer"
    unseen = {"new": "    return height * width"}
    assert verdict(BUG | unseen).reason == "no test notices"


def test_issues_by_a_model_do_not_give_the_fault_away() -> None:
    edits = [Edit("a/b.py", 1, ("    return total",), ("    return None",))]
    assert (
        checked_issue("  The sum of a list comes out empty. ", edits) == "The sum of a list comes out empty."
    )
    for text in (
        "Look at `return None` in the code, it is new.",
        "It is `return total` that is missing.",
        None,
        "x",
    ):
        with pytest.raises(ValueError, match="issue"):
            checked_issue(text, edits)


def test_issues_of_mutants_by_a_model(tmp_path: Path) -> None:
    base = open_base(own_folder(write_repository(tmp_path / "sums", NODE)), tmp_path, ScriptedAgent())
    old, new = "    sum = sum + numbers[n];", "    sum = sum - numbers[n];"
    work = MutantWork(base, Mutant("lib/sums.js", 6, 14, "binary", old, new))

    def question(answer: object) -> str:
        (task,) = Judge(tmp_path, ScriptedAgent(), Model(answer), True)(Candidate("c", "mutant", work)).tasks
        return task.question

    good = "Adding up 1, 2 and 3 gives -6 where 6 is expected."
    assert question({"issue": good}).startswith(good)
    for bad in ({"issue": f"It says {new.strip()} now."}, "no JSON", {"text": good}):
        assert question(bad).startswith("sums is broken: one test")


def test_killed_at_any_moment_it_resumes_without_loss_or_doubles(tmp_path: Path) -> None:
    repo = write_repository(tmp_path / "sums", NODE)
    arguments = ["--repo", str(repo), "--mutants", "4"]
    whole, verdicts = synth(tmp_path / "whole", *arguments)
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "baleen.cli.main", "synth", "code", "--out", str(out), "--workers", "1"]
    for lines in (0, 2):
        with subprocess.Popen([*command, *arguments], stdout=subprocess.DEVNULL, cwd=ROOT) as run:
            journal = out / "candidates.jsonl"
            while run.poll() is None and (not journal.exists() or journal.read_bytes().count(b"\n") <= lines):
                time.sleep(0.01)
            run.kill()
    resumed, found = synth(out, *arguments)
    assert resumed == whole
    assert [v.candidate for v in found] == [v.candidate for v in verdicts] and len(found) == 4


def test_changelogs() -> None:
    old, new = tree_of({"CHANGES.md": "1.0\nfirst"}), tree_of({"CHANGES.md": "1.1\n#3: better\n\n1.0\nfirst"})
    assert changelog_difference(old, new) == "1.1\n#3: better"
    assert changelog_difference(old, old) == changelog_difference({}, new) == ""


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--repo", "/nowhere"],
        ["--package", "x", "--written", "3"],
        ["--package", "x", "--mutants", "-1"],
        ["--releases", "x==1"],
    ],
)
def test_bad_usage(tmp_path: Path, arguments: list[str]) -> None:
    with pytest.raises(UsageError):
        main(["--out", str(tmp_path / "out"), *arguments])
