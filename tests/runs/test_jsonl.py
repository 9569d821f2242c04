"""Lines that survive a kill: torn ones go, whole ones stay, one writer, one set of settings."""

from pathlib import Path

import pytest

from baleen.config import UserError
from baleen.runs.jsonl import JsonlFile, read_lines


def write(folder: Path, *numbers: int, **settings: object) -> None:
    with JsonlFile(folder, "l.jsonl", settings) as file:
        for n in numbers:
            file.append({"n": n})


@pytest.mark.parametrize("torn", ["", '{"n": 3', "x" * 100_000])
def test_a_torn_line_is_not_read_and_cut_off_once_the_run_goes_on(tmp_path: Path, torn: str) -> None:
    write(tmp_path, 1, 2)
    path = tmp_path / "l.jsonl"
    with open(path, "a") as file:
        file.write(torn)
    assert [row["n"] for row in read_lines(path)] == [1, 2]
    assert path.read_text().endswith(torn), "a reader changes nothing"
    write(tmp_path, 4)
    assert path.read_text() == '{"n": 1}\n{"n": 2}\n{"n": 4}\n'


def test_a_file_of_one_torn_line_becomes_empty(tmp_path: Path) -> None:
    (tmp_path / "l.jsonl").write_text("y" * 200_000)
    write(tmp_path)
    assert (tmp_path / "l.jsonl").read_text() == ""


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    with JsonlFile(tmp_path, "l.jsonl", {}), pytest.raises(UserError, match="in use"):
        write(tmp_path)
    write(tmp_path)


def test_other_settings_are_another_run(tmp_path: Path) -> None:
    write(tmp_path, a=1, b=(2, 3))
    write(tmp_path, b=[2, 3], a=1)
    with pytest.raises(UserError, match="with a = 1 and now has 2"):
        write(tmp_path, a=2, b=[2, 3])
    write(tmp_path, a=1, b=[2, 3])  # the lock was given back


@pytest.mark.parametrize("damaged", [b'{"n": 2', b"[2]", b"\xff\xfe", b"", b'{"m": 2}', b"[" * 100_000])
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "l.jsonl"
    path.write_bytes(b'{"n": 1}\n' + damaged + b'\n{"n": 3}\n')
    with pytest.raises(UserError, match=r"l\.jsonl, line 2 is damaged; delete that line"):
        list(read_lines(path, ["n"]))


def test_a_file_that_is_not_there_has_no_lines(tmp_path: Path) -> None:
    assert list(read_lines(tmp_path / "none")) == []
