"""The search tools over a small corpus: what they show, and that nothing a policy writes breaks them."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baleen.chat import Message
from baleen.environments import Task, ToolFailure
from baleen.environments.search.corpus import Corpus, Document, Entity, query_terms, write_corpus
from baleen.environments.search.world import (
    CORPUS_FILE,
    MAX_RESULTS,
    PAGE_CHARACTERS,
    SYSTEM_MESSAGE,
    SearchWorld,
    is_named,
    pages_of,
)
from baleen.environments.task import answer_message

DOCUMENTS = [
    Document("n1", "Goethe", "German poet who lived in Weimar (1749-1832)", "Kind: poet\nBorn: 1749"),
    Document("n2", "Weimar", "a town in Thuringia", "Kind: town\nPart of: Germany [n3]"),
    Document(
        "n3",
        "Germany",
        "a republic in central Europe\n" + "\n".join(f"Has part: town {i}" for i in range(400)),
    ),
    Document("n4", "python3-yaml", "YAML parser and emitter for Python3"),
    Document("n5", "yaml", "a thing for python"),
]


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("assets")
    write_corpus(folder / CORPUS_FILE, {"corpus": "test"}, DOCUMENTS, [Entity("n1", ("Goethe",))])
    return folder


@pytest.fixture(scope="module")
def world(assets: Path) -> SearchWorld:
    messages = (SYSTEM_MESSAGE, {"role": "user", "content": "Who?"})
    data = {"aliases": ["Johann Wolfgang von Goethe"]}
    return SearchWorld(Task("t", "search", "search-test", 1, "train", messages, "Goethe", data), assets)


def call(world: SearchWorld, name: str, arguments: Any) -> str:
    function = {"name": name, "arguments": json.dumps(arguments)}
    message: Message = {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"type": "function", "function": function}],
    }
    (result,) = world.step(message)
    return str(result["content"])


def test_search_shows_ids_titles_and_excerpts(world: SearchWorld) -> None:
    lines = call(world, "search", {"query": "the poets of Weimar", "k": 2}).splitlines()
    assert [line.split(":")[0] for line in lines] == ["1. [n1] Goethe", "2. [n2] Weimar"]
    assert "German poet" in lines[0]
    assert call(world, "search", {"query": "zzz"}) == "no results"


def test_words_with_hyphens_and_in_quotes_stand_together(world: SearchWorld) -> None:
    assert call(world, "search", {"query": "python3-yaml"}).splitlines()[0].startswith("1. [n4]")
    assert "[n5]" not in call(world, "search", {"query": "python3-yaml"})
    assert "[n2]" not in call(world, "search", {"query": '"lived in Weimar"'})
    assert query_terms('a "b c" d-e "') == ['"a"', '"b c"', '"d-e"']


def test_open_goes_page_by_page_and_loses_nothing(world: SearchWorld) -> None:
    first = call(world, "open", {"id": "n3"})
    count = int(first.partition("\n")[0].rpartition(" ")[2])
    assert count > 1
    pages = [call(world, "open", {"id": "n3", "page": i}).partition("\n\n")[2] for i in range(1, count + 1)]
    assert "\n".join(pages) == DOCUMENTS[2].text
    assert all(len(page) <= PAGE_CHARACTERS for page in pages)
    assert call(world, "open", {"id": "n3", "page": count + 1}).startswith("error: page is")
    assert call(world, "open", {"id": "nope"}).startswith("error: no document 'nope'")


def test_a_line_longer_than_a_page_is_cut() -> None:
    assert [len(page) for page in pages_of(Document("x", "x", "y" * (2 * PAGE_CHARACTERS + 5)))] == [
        3000,
        3000,
        5,
    ]


def test_find_takes_text_as_it_is(world: SearchWorld) -> None:
    assert "German poet" in call(world, "find", {"id": "n1", "pattern": "LIVED in"})
    assert call(world, "find", {"id": "n1", "pattern": ".*"}) == "not found"
    assert call(world, "find", {"id": "n1", "pattern": "(1749-"}).count("\n") == 0
    assert call(world, "find", {"id": "n3", "pattern": "Has part"}).endswith("(390 more)")


HOSTILE = [
    '"',
    '"" OR',
    "NEAR(a b, 2)",
    "title:x",
    "a*",
    "^a",
    "(",
    "{title}: a",
    "-",
    "'; DROP TABLE documents; --",
]
HOSTILE += ["\0", "\ud800", "a" * 100_000, "word " * 50_000, "NOT", "AND AND", "🜁", ""]


@pytest.mark.parametrize("query", HOSTILE)
def test_no_query_breaks_the_search(world: SearchWorld, query: str) -> None:
    assert not call(world, "search", {"query": query}).startswith("error")
    assert call(world, "open", {"id": query}).startswith("error: no document")
    assert call(world, "search", {"query": "Goethe"}).startswith("1. [n1]")


@given(st.text(max_size=60))
def test_any_text_is_a_query(world: SearchWorld, query: str) -> None:
    call(world, "search", {"query": query})


@pytest.mark.parametrize(
    "arguments",
    [{"query": 3}, {"query": "a", "k": 0}, {"query": "a", "k": MAX_RESULTS + 1}, {}, {"query": "a", "x": 1}],
)
def test_wrong_arguments_are_told(world: SearchWorld, arguments: Any) -> None:
    assert call(world, "search", arguments).startswith("error: ")


def test_nothing_can_be_written(assets: Path) -> None:
    before = (assets / CORPUS_FILE).read_bytes()
    corpus = Corpus(assets / CORPUS_FILE)
    with pytest.raises(Exception, match="readonly"):
        corpus.rows("DELETE FROM documents")
    assert (assets / CORPUS_FILE).read_bytes() == before
    assert [path.name for path in assets.iterdir()] == [CORPUS_FILE]


@pytest.mark.parametrize(
    ("content", "score"),
    [
        ("Goethe", 1.0),
        ("  the GOETHE. ", 1.0),
        ("I looked.\n\n**Answer:** Johann Wolfgang von Goethe", 1.0),
        ("Gœthe", 0.0),
        ("Goethe or Schiller", 0.0),
        ("It is Goethe", 0.0),
        ("Goethe\nSchiller", 0.0),
        ("", 0.0),
        ("...", 0.0),
    ],
)
def test_the_last_line_is_the_answer(world: SearchWorld, content: str, score: float) -> None:
    assert world.score(answer_message(content)) == score


def test_names_that_differ_in_signs_differ() -> None:
    assert is_named("g++", ("G++",)) and not is_named("g", ("g++",))
    assert is_named("Zürich", ("Zurich",)) and is_named("A", ("a",))


def test_an_unfinished_message_scores_nothing(world: SearchWorld) -> None:
    assert world.score({"role": "user", "content": "Goethe"}) == 0.0
    assert world.score(answer_message("Goethe") | {"tool_calls": [{"function": {}}]}) == 0.0


def test_without_a_corpus_nobody_is_to_blame(world: SearchWorld, tmp_path: Path) -> None:
    for assets in (None, tmp_path):
        with pytest.raises(ToolFailure, match="corpus"):
            SearchWorld(world.task, assets)
    (tmp_path / CORPUS_FILE).write_text("not a database, but long enough to look at " * 30)
    with pytest.raises(ToolFailure, match="is not a search corpus"):
        SearchWorld(world.task, tmp_path)
