"""Forks of made-up runs: what may be shared, what is refused, and that the other run stays as it is."""

import json
from pathlib import Path

import pytest

from baleen.config import UsageError, UserError
from baleen.config.recipe import Recipe, load_recipe
from baleen.config.shipped import find_recipe
from baleen.config.toml_file import dump_toml, parse_settings
from baleen.runs.files import write_json
from baleen.stages import fork
from baleen.stages.fork import Source, make_fork
from baleen.train import Checkpoints


def recipe(*settings: str) -> Recipe:
    return load_recipe(find_recipe("tiny"), parse_settings(settings))


RECIPE = recipe()
ALL = RECIPE.names
TO_SFT = ALL[:4]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run, its files a few bytes each."""
    folder = tmp_path / "run"
    (folder / "stages").mkdir(parents=True)
    (folder / "resolved.toml").write_text(dump_toml(recipe()))
    lines = [{"stage": stage, "step": step, "loss": 1.0} for stage in ALL for step in (0, 1)]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for stage in ALL:
        Checkpoints(folder / "checkpoints" / stage).save(2, {"model": {}}, {})
        write_json(folder / "stages" / f"{stage}.json", {"stage": stage, "steps": 2, "checks": []})
    for name in ("checkpoints/tokenizer", "model", "model-sft", "model-speciale"):
        (folder / name).mkdir()
        (folder / name / "tokenizer.json").write_text(name)
    (folder / "cost.json").write_text("{}")
    (folder / "environment.json").write_text('{"cores": 2}')
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_each_stage_reads_earlier_ones_only():
    for stage in ALL:
        assert all(ALL.index(read) < ALL.index(stage) for read in RECIPE.needs(stage))
    assert RECIPE.needs("distill") == ["sft", "specialist_math", "specialist_logic", "specialist_tool"]


@pytest.mark.parametrize(
    ("key", "stands"),
    [
        ("seed", []),
        ("preset", []),
        ("sizes.index_topk", []),
        ("vocab_size", []),
        ("text", []),
        ("text_bytes", []),
        ("judged", []),
        ("data.base.text_share", []),
        ("data.long.text_share", []),
        ("pretrain.steps", []),
        ("dsa_sparse.steps", ALL[:2]),
        ("sft.steps", ALL[:3]),
        ("data.chat.text_share", ALL[:3]),
        ("evaluation.data", []),
        ("evaluation.attempts", ALL[:3]),
        ("specialist_math.steps", [*TO_SFT, "specialist_logic", "specialist_tool"]),
        ("distill.steps", ALL[:7]),
        ("data.distill.text_share", ALL[:7]),
        ("mixed.steps", ALL[:8]),
        ("speciale.steps", ALL[:9]),
    ],
)
def test_a_key_changes_its_stage_and_all_that_build_on_it(key, stands):
    assert [stage for stage in ALL if stage not in RECIPE.affected([key])] == stands


def test_every_key_of_the_recipe_has_its_place():
    assert all(RECIPE.affected([key]) for key in RECIPE.flat())


def test_stages_that_lack_what_they_build_on_are_found():
    assert RECIPE.missing(["pretrain", "sft"], []) == ("sft", "dsa_sparse")
    assert RECIPE.missing(["distill"], [*TO_SFT, "specialist_math", "specialist_tool"]) == (
        "distill",
        "specialist_logic",
    )
    assert RECIPE.missing(ALL, []) is None and RECIPE.missing(["mixed"], ["distill"]) is None


def test_what_stands_is_shared(run):
    whole = Source.parse(str(run))
    assert whole.shared(recipe("distill.steps=105")) == ALL[:7]
    assert whole.shared(recipe("specialist_math.steps=30")) == [
        *TO_SFT,
        "specialist_logic",
        "specialist_tool",
    ]
    assert whole.shared(recipe("evaluation.attempts=200")) == ALL[:3]
    assert whole.shared(recipe()) == ALL
    assert Source.parse(f"{run}:sft").shared(recipe("distill.steps=105")) == TO_SFT
    (run / "stages" / "specialist_logic.json").unlink()
    # what was made of it must go too
    assert whole.shared(recipe()) == [*TO_SFT, "specialist_math", "specialist_tool"]


def test_what_cannot_be_shared_is_refused_by_name(run, tmp_path):
    def refused(text: str, *settings: str) -> str:
        with pytest.raises(UsageError) as caught:
            Source.parse(text).shared(recipe(*settings))
        return str(caught.value)

    assert "distill.steps = 105 changes distill" in refused(f"{run}:mixed", "distill.steps=105")
    assert "seed changes all" in refused(str(run), "seed=7")
    assert "did you mean distill?" in refused(f"{run}:distil")
    assert "holds no run" in refused(str(tmp_path / "none"))
    (run / "stages" / "speciale.json").unlink()
    assert "has not finished speciale" in refused(f"{run}:speciale")
    for stage in ALL[:9]:
        (run / "stages" / f"{stage}.json").unlink()
    assert "none has finished" in refused(str(run))


def test_records_of_another_version_and_damaged_ones_are_one_line(run):
    path = run / "stages" / "pretrain.json"
    path.write_text('{"gates": []}')
    with pytest.raises(UserError, match="another version"):
        Source.parse(str(run)).shared(recipe())
    path.write_text("{")
    with pytest.raises(UserError, match=r"pretrain\.json is damaged; delete it"):
        Source.parse(str(run)).shared(recipe())


@pytest.mark.parametrize("links", [True, False])
def test_a_fork_takes_the_shared_stages_along_and_leaves_the_run_alone(run, tmp_path, monkeypatch, links):
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    if not links:
        monkeypatch.setattr(fork.os, "link", refuse)
    before, out = content(run), tmp_path / "new"
    changed = recipe("distill.steps=105")
    make_fork(Source(run), changed, ALL[:7], out)
    assert sorted(path.name for path in (out / "checkpoints").iterdir()) == sorted([*ALL[:7], "tokenizer"])
    assert sorted(path.stem for path in (out / "stages").iterdir()) == sorted(ALL[:7])
    assert load_recipe(out / "resolved.toml") == changed
    stages = [json.loads(line)["stage"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert stages == [stage for stage in ALL[:7] for _ in range(2)]
    assert (out / "model-sft").exists() and not (out / "model").exists() and not (out / "cost.json").exists()
    # the fork goes on; the run does not see it
    checkpoints = Checkpoints(out / "checkpoints" / "sft")
    assert checkpoints.latest() is not None
    for step in (3, 4, 5):
        checkpoints.save(step, {"model": {}}, {})
    write_json(out / "stages" / "sft.json", {"checks": [1]})
    (out / "model-sft" / "tokenizer.json").write_text("other")
    assert content(run) == before


def test_a_fork_is_whole_or_absent(run, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fork, "dump_toml", full)
    with pytest.raises(OSError, match="No space left"):
        make_fork(Source(run), recipe(), ALL, tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_fork_does_not_go_where_something_is(run, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_text("mine")
    with pytest.raises(UsageError, match="--out"):
        make_fork(Source(run), recipe(), ALL, tmp_path / "photos")
    (tmp_path / "empty").mkdir()
    make_fork(Source(run), recipe(), ALL, tmp_path / "empty")
    assert (tmp_path / "empty" / "resolved.toml").exists()
