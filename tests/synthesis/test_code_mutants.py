"""Mutants: eight kinds, one line each, the same ones for the same seed, over all files of a package."""

import ast
import random

import pytest

from baleen.environments.code.edits import apply_edits
from baleen.environments.code.runners import RUNNERS
from baleen.synthesis.code.mutants import mutants, python_mutants
from baleen.synthesis.code.tokens import token_mutants
from tests.synthesis.code_repos import CMAKE, NODE, PYTHON, tree_of

CASES = [
    ("assign-none", "x = f(1)", "x = None"),
    ("return-none", "def f():\n    return 'é', 2", "    return None"),
    ("comparison", "y = 'é' if (a) <= b else 2", "y = 'é' if (a) < b else 2"),
    ("comparison", "y = a not in b", "y = a in b"),
    ("comparison", "y = a is not None", "y = a is None"),
    ("drop-if", "if a:\n    b()", "if True:"),
    ("add-one", "f(x[10])", "f(x[11])"),
    ("swap-else", "if a and b:\n    c()\nelse:\n    d()", "if not (a and b):"),
    ("binary", "f(a[0]  + (b))", "f(a[0]  - (b))"),
    ("boolean", "f((a) and b)", "f((a) or b)"),
]


@pytest.mark.parametrize(("kind", "text", "new"), CASES)
def test_kinds(kind: str, text: str, new: str) -> None:
    found = [mutant for mutant in python_mutants("m.py", text) if mutant.kind == kind]
    assert new in [mutant.new for mutant in found]
    assert all(mutant.old in text.split("\n") for mutant in found)


@pytest.mark.parametrize(
    "text",
    [
        "def f(a: int = None) -> 'list[3]': pass",
        "x: Literal[1]",
        "if TYPE_CHECKING:\n    import a\n    x = 3",
        "if __name__ == '__main__':\n    main(1)",
        "x = None",
        "'''x = 3 + 4'''",
        "# return 4",
        "not python (",
    ],
)
def test_what_is_left_alone(text: str) -> None:
    assert not list(python_mutants("m.py", text))


def test_the_order_is_seeded_and_every_mutant_differs_in_one_line() -> None:
    files = PYTHON | {"shapes/more.py": "def f(a, b):\n    if a == b:\n        return 1\n    return a + 2\n"}
    tree = tree_of(files)
    runner = RUNNERS["pytest"]
    found = list(mutants(tree, runner, random.Random(3)))
    assert (
        found
        == list(mutants(tree, runner, random.Random(3)))
        != list(mutants(tree, runner, random.Random(4)))
    )
    assert len({mutant.name for mutant in found}) == len(found) > 10
    assert {mutant.path for mutant in found[:2]} == {"shapes/area.py", "shapes/more.py"}
    for mutant in found:
        changed = apply_edits(tree, [mutant.edit])
        before, after = files[mutant.path].split("\n"), changed[mutant.path][1].decode().split("\n")
        assert [n for n, (a, b) in enumerate(zip(before, after, strict=True), 1) if a != b] == [mutant.line]
        assert ast.dump(ast.parse("\n".join(before))) != ast.dump(ast.parse("\n".join(after)))
        assert {path for path in tree if changed[path] != tree[path]} == {mutant.path}


def test_tokens_of_other_languages() -> None:
    text = 'std::vector<int> a; // 1 < 2\nif (x < 10 && y == "1 < 2") { i++; } /* true */\n#define N 3\nreturn true;'
    found = {(mutant.line, mutant.kind, mutant.new) for mutant in token_mutants("a.cpp", text)}
    assert found == {
        (2, "comparison", 'if (x <= 10 && y == "1 < 2") { i++; } /* true */'),
        (2, "boolean", 'if (x < 10 || y == "1 < 2") { i++; } /* true */'),
        (2, "comparison", 'if (x < 10 && y != "1 < 2") { i++; } /* true */'),
        (2, "step", 'if (x < 10 && y == "1 < 2") { i--; } /* true */'),
        (2, "add-one", 'if (x < 11 && y == "1 < 2") { i++; } /* true */'),
        (4, "truth", "return false;"),
    }


def test_only_source_is_changed() -> None:
    for files, name, source in (
        (PYTHON, "pytest", {"shapes/__init__.py", "shapes/area.py"}),
        (NODE, "node", {"lib/sums.js"}),
        (CMAKE, "ctest", {"src/clamp.cpp", "src/clamp.hpp"}),
    ):
        assert {path for path in files if RUNNERS[name].is_source(path)} == source
    other = "setup.py docs/conf.py a/conftest.py a/test_b.py a/b_test.py a/tests/c.py .github/x.py a/sitecustomize.py"
    assert not any(map(RUNNERS["pytest"].is_source, other.split()))
