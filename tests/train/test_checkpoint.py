"""A checkpoint is whole or absent: what was cut off or damaged is passed over."""

import pytest
import torch

from baleen.train import CheckpointError, Checkpoints

DAMAGES = ["flip", "cut", "manifest", "list", "other step", "missing"]


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def checkpoints(tmp_path, told) -> Checkpoints:
    found = Checkpoints(tmp_path / "sft", told.append)
    for step in (1, 2, 3):
        found.save(step, {"model": {"w": torch.full((4,), float(step))}}, {"note": step})
    return found


def test_the_newest_counts_and_two_are_kept(checkpoints):
    step, groups, state = checkpoints.latest()
    assert (step, groups["model"]["w"].tolist(), state) == (3, [3.0] * 4, {"note": 3})
    assert [path.name for path in sorted(checkpoints.folder.iterdir())] == ["step-000002", "step-000003"]


def do_damage(folder, damage: str) -> None:
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
        file.write_bytes(data)
    elif damage == "cut":
        file.write_bytes(data[:-2])
    elif damage == "manifest":
        (file.parent / "manifest.json").write_text('{"step": 3')
    elif damage == "list":
        (file.parent / "manifest.json").write_text("[3]")
    elif damage == "other step":
        manifest = file.parent / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"step": 3', '"step": 7'))
    else:
        file.unlink()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_passed_over_aloud_and_written_again(checkpoints, told, damage):
    newest = checkpoints.folder / "step-000003"
    do_damage(newest, damage)
    assert checkpoints.latest()[0] == 2
    (line,) = told
    assert str(newest) in line and "damaged-step-000003" in line and line.endswith("going on from step 2")
    checkpoints.save(3, {"model": {"w": torch.full((4,), 9.0)}}, {})
    assert checkpoints.latest()[1]["model"]["w"][0] == 9 and len(told) == 1


def test_where_all_are_damaged_the_stage_begins_anew(checkpoints, told):
    for step in (2, 3):
        do_damage(checkpoints.folder / f"step-{step:06d}", "flip")
    assert checkpoints.latest() is None
    assert len(told) == 2 and told[0].endswith("going on from the start of the stage")


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_step_that_is_asked_for_is_read_or_refused(checkpoints, told, damage):
    assert checkpoints.at(3)[1]["model"]["w"].tolist() == [3.0] * 4
    do_damage(checkpoints.folder / "step-000003", damage)
    with pytest.raises(CheckpointError, match="step-000003"):
        checkpoints.at(3)
    with pytest.raises(CheckpointError, match="step-000009"):
        checkpoints.at(9)
    assert checkpoints.at(2)[0] == 2 and not told
    assert [path.name for path in sorted(checkpoints.folder.iterdir())] == ["step-000002", "step-000003"]


def test_one_that_was_being_written_does_not_exist(checkpoints):
    partial = checkpoints.folder / ".partial-000004"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    assert checkpoints.latest()[0] == 3
    checkpoints.save(4, {"model": {"w": torch.zeros(4)}}, {})
    assert checkpoints.latest()[0] == 4


def test_without_any_there_is_none(tmp_path):
    assert Checkpoints(tmp_path / "none").latest() is None
