"""A checkpoint is whole or absent: what was cut off or damaged is passed over."""

import pytest
import torch

from baleen.train import Checkpoints


@pytest.fixture
def checkpoints(tmp_path) -> Checkpoints:
    found = Checkpoints(tmp_path / "sft")
    for step in (1, 2, 3):
        found.save(step, {"model": {"w": torch.full((4,), float(step))}}, {"note": step})
    return found


def test_the_newest_counts_and_two_are_kept(checkpoints):
    step, groups, state = checkpoints.latest()
    assert (step, groups["model"]["w"].tolist(), state) == (3, [3.0] * 4, {"note": 3})
    assert [path.name for path in sorted(checkpoints.folder.iterdir())] == ["step-000002", "step-000003"]


@pytest.mark.parametrize("damage", ["flip", "cut", "manifest", "missing"])
def test_a_damaged_one_is_passed_over(checkpoints, damage):
    file = checkpoints.folder / "step-000003" / "model.safetensors"
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[-1] ^= 1
        file.write_bytes(data)
    elif damage == "cut":
        file.write_bytes(data[:-2])
    elif damage == "manifest":
        (file.parent / "manifest.json").write_text('{"step": 3')
    else:
        file.unlink()
    assert checkpoints.latest()[0] == 2


def test_one_that_was_being_written_does_not_exist(checkpoints):
    partial = checkpoints.folder / ".partial-000004"
    partial.mkdir()
    (partial / "model.safetensors").write_bytes(b"half")
    assert checkpoints.latest()[0] == 3
    checkpoints.save(4, {"model": {"w": torch.zeros(4)}}, {})
    assert checkpoints.latest()[0] == 4


def test_without_any_there_is_none(tmp_path):
    assert Checkpoints(tmp_path / "none").latest() is None
