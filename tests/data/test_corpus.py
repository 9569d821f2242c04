"""Real text: the same documents in every run, a held-out part that training never sees, clear refusals."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from baleen.config.errors import UserError
from baleen.data.corpus import HELD_OUT, Corpus, load_corpus


def size(documents: list[str]) -> int:
    return sum(len(document.encode()) for document in documents)


@pytest.fixture(scope="module")
def library() -> Corpus:
    return load_corpus(None, 400_000)


def test_the_library_fills_the_budget(library: Corpus) -> None:
    assert 0.98 * 380_000 < size(library.train) <= 380_000
    assert 0.98 * 20_000 < size(library.heldout) <= 20_000


def test_it_holds_prose_and_code(library: Corpus) -> None:
    code = [document for document in library.train if "\n    def " in document and "self" in document]
    prose = [document for document in library.train if "import " not in document and "def " not in document]
    assert code and prose


def test_held_out_documents_are_not_trained_on(library: Corpus) -> None:
    assert not set(library.train) & set(library.heldout)


def test_another_process_sees_the_same(library: Corpus) -> None:
    program = (
        "from baleen.data.corpus import load_corpus\nimport hashlib\nc = load_corpus(None, 400_000)\n"
        "print(hashlib.sha256(repr((c.train, c.heldout)).encode()).hexdigest())"
    )
    import hashlib

    command = [sys.executable, "-X", "utf8", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == hashlib.sha256(repr((library.train, library.heldout)).encode()).hexdigest()


def test_a_larger_budget_begins_with_the_same_documents(library: Corpus) -> None:
    larger = load_corpus(None, 800_000)
    assert larger.train[: len(library.train) - 1] == library.train[:-1]


def test_a_tiny_budget_still_holds_something_out() -> None:
    corpus = load_corpus(None, 2_000)
    assert corpus.train and corpus.heldout and size(corpus.train) + size(corpus.heldout) <= 2_000


def test_a_folder_comes_first_and_is_split_by_file(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number:03}.md").write_text(f"document {number}\n" * 5)
    (tmp_path / "skipped.png").write_bytes(b"\x89PNG\0")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config.txt").write_text("xyzzy-hidden")
    corpus = load_corpus(tmp_path, 200_000)
    mine = [document for document in corpus.train if document.startswith("document ")]
    held = [document for document in corpus.heldout if document.startswith("document ")]
    assert corpus.train[: len(mine)] == mine and len(mine) + len(held) == 200
    assert 1 <= len(held) <= 200 * HELD_OUT * 3
    assert not any("xyzzy" in document or "\x89PNG" in document for document in corpus.train + corpus.heldout)


def test_one_file_is_split_by_section(tmp_path: Path) -> None:
    paragraphs = [f"paragraph {number}: " + "word " * 300 for number in range(600)]
    path = tmp_path / "book.txt"
    path.write_text("\n\n".join(paragraphs))
    corpus = load_corpus(path, 2_000_000)
    text = "".join(corpus.train) + "".join(corpus.heldout)
    assert all(f"paragraph {number}: " in text for number in range(600))
    assert any("paragraph " in document for document in corpus.heldout)


def test_jsonl_rows_are_documents(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows = ["first\nrow", "second\u2028row", " "]
    path.write_text(
        "\n".join(json.dumps({"text": row, "id": 1}, ensure_ascii=False) for row in rows) + "\n\n"
    )
    corpus = load_corpus(path, 10_000)
    documents = corpus.train + corpus.heldout
    assert "first\nrow" in documents and "second\u2028row" in documents and " " not in documents


def test_a_file_larger_than_the_budget_is_cut_at_a_line(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    path.write_text("a line of text\n" * 10_000)
    corpus = load_corpus(path, 1_000)
    assert size(corpus.train) + size(corpus.heldout) <= 1_000
    assert set("".join(corpus.train).splitlines()) == {"a line of text"}
    path.write_text("é" * 10_000)
    assert size(load_corpus(path, 1_001).train) <= 1_001


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("missing.txt", None, "does not exist"),
        ("empty.txt", b"", "is empty"),
        ("blank.md", b" \n\n", "is empty"),
        ("latin.txt", "café".encode("latin-1"), "not UTF-8 text"),
        ("nul.txt", b"a\0b", "is binary"),
        ("picture.png", b"\x89PNG", "rename or convert"),
        ("bad.jsonl", b'{"text": "a"}\n{"txt": "b"}\n', "line 2 is not a JSON object"),
        ("half.jsonl", b'{"text": "\\ud800"}\n', "line 1 is not a JSON object"),
        ("list.jsonl", b"[1]\n", "line 1 is not a JSON object"),
        ("deep.jsonl", b"[" * 100_000, "line 1 is not a JSON object"),
    ],
)
def test_refusals_name_the_file_and_a_remedy(
    tmp_path: Path, name: str, content: bytes | None, told: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=told) as caught:
        load_corpus(path, 1_000_000)
    assert str(path) in str(caught.value) and ";" in str(caught.value)


def test_a_folder_without_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no .txt"):
        load_corpus(tmp_path, 1000)


def test_a_file_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret.txt"
    path.write_text("x")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("builtins.open", refuse)  # root may read everything, so the refusal is made here
    with pytest.raises(UserError, match="cannot be read"):
        load_corpus(path, 1000)
