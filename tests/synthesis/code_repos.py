"""Tiny repositories in three languages, each with a suite, and a runtime made of this environment's own pytest."""

import compileall
import importlib.metadata
import json
import shutil
from pathlib import Path
from typing import Any

from baleen.environments import Task
from baleen.environments.code.tree import Tree, to_bytes
from baleen.environments.code.world import tools
from baleen.synthesis.code.runtimes import runtime_key

REQUIREMENTS = ("pytest",)
_DISTRIBUTIONS = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")

PYTHON = {
    "shapes/__init__.py": "from shapes.area import rectangle, square\n",
    "shapes/area.py": (
        "def rectangle(width, height):\n"
        "    if width < 0 or height < 0:\n"
        "        raise ValueError('negative')\n"
        "    return width * height\n"
        "\n\n"
        "def square(side):\n"
        "    return rectangle(side, side)\n"
    ),
    "tests/test_area.py": (
        "import pytest\n"
        "from shapes import rectangle, square\n\n\n"
        "@pytest.mark.parametrize('n', [1, 3])\n"
        "def test_square(n):\n"
        "    assert square(n) == n * n\n\n\n"
        "def test_rectangle():\n"
        "    assert rectangle(2, 5) == 10\n\n\n"
        "class TestErrors:\n"
        "    def test_negative(self):\n"
        "        with pytest.raises(ValueError):\n"
        "            rectangle(-1, 2)\n"
    ),
    "CHANGES.md": "# 1.0\n- first\n",
}
SQUARE, RECTANGLE, NEGATIVE = (
    [f"tests.test_area::test_square[{n}]" for n in (1, 3)],
    ["tests.test_area::test_rectangle"],
    ["tests.test_area.TestErrors::test_negative"],
)
PASSING = [*SQUARE, *RECTANGLE, *NEGATIVE]
FAULT = ("shapes/area.py", 4, "    return width * height", "    return width + height")

NODE = {
    "package.json": '{"name": "sums", "version": "1.0.0", "type": "commonjs"}\n',
    "lib/sums.js": (
        "'use strict';\n\n"
        "function total(numbers) {\n"
        "  let sum = 0;\n"
        "  for (let n = 0; n < numbers.length; n += 1) {\n"
        "    sum = sum + numbers[n];\n"
        "  }\n"
        "  return sum;\n"
        "}\n\n"
        "function larger(a, b) {\n"
        "  return a > b ? a : b;\n"
        "}\n\n"
        "module.exports = { total, larger };\n"
    ),
    "test/sums.test.js": (
        "'use strict';\n"
        "const { describe, it, test } = require('node:test');\n"
        "const assert = require('node:assert');\n"
        "const { total, larger } = require('../lib/sums.js');\n\n"
        "describe('total', () => {\n"
        "  it('adds', () => assert.strictEqual(total([1, 2, 3]), 6));\n"
        "  it('of nothing is 0', () => assert.equal(total([]), 0));\n"
        "});\n"
        "test('larger', () => { assert(larger(2, 1) === 2); assert.ok(larger(1, 2) === 2); });\n"
    ),
}

CMAKE = {
    "CMakeLists.txt": (
        "cmake_minimum_required(VERSION 3.20)\n"
        "project(clamp CXX)\n"
        "enable_testing()\n"
        "add_library(clamp src/clamp.cpp)\n"
        "foreach(name low high)\n"
        "  add_executable(test_${name} tests/${name}.cpp)\n"
        "  target_link_libraries(test_${name} clamp)\n"
        "  add_test(NAME ${name} COMMAND test_${name})\n"
        "endforeach()\n"
    ),
    "src/clamp.hpp": "int clamp(int value, int low, int high);\nint middle(int low, int high);\n",
    "src/clamp.cpp": (
        '#include "clamp.hpp"\n\n'
        "int clamp(int value, int low, int high) {\n"
        "  if (value < low) {\n"
        "    return low;\n"
        "  }\n"
        "  return value > high ? high : value;\n"
        "}\n\n"
        "int middle(int low, int high) { return low + (high - low) / 2; }\n"
    ),
    "tests/low.cpp": '#include "../src/clamp.hpp"\nint main() { return clamp(-3, 0, 9) == 0 ? 0 : 1; }\n',
    "tests/high.cpp": (
        '#include "../src/clamp.hpp"\n'
        "int main() { return clamp(30, 0, 9) == 9 && middle(2, 6) == 4 ? 0 : 1; }\n"
    ),
}


def tree_of(files: dict[str, str]) -> Tree:
    return {path: ("100644", text.encode()) for path, text in files.items()}


def write_repository(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def put_runtime(assets: Path) -> str:
    """What `prepare_runtime` would install from the network, from what is installed here."""
    key = runtime_key(REQUIREMENTS)
    folder = assets / "runtimes" / key
    for name in _DISTRIBUTIONS:
        for file in importlib.metadata.distribution(name).files or ():
            if file.parts[0] in ("..", "__pycache__") or file.suffix == ".pyc":
                continue
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(str(file.locate()), folder / file)
    compileall.compile_dir(folder, quiet=1)
    row = {"python": "", "requirements": list(REQUIREMENTS), "installed": []}
    folder.with_name(f"{key}.json").write_text(json.dumps(row))
    return key


def put_task(
    assets: Path,
    files: dict[str, str],
    edit: tuple[str, int, str, str],
    fail_to_pass: list[str],
    passing: list[str],
    runner: str = "pytest",
    seconds: float = 20.0,
) -> Task:
    """A task whose fault is one edited line: (path, line, old, new)."""
    path, line, old, new = edit
    for folder in ("trees", "passing"):
        (assets / folder).mkdir(parents=True, exist_ok=True)
    (assets / "trees/tiny.tree").write_bytes(to_bytes(tree_of(files)))
    (assets / "passing/tiny.json").write_text(json.dumps(passing))
    runtime = runtime_key(REQUIREMENTS) if runner == "pytest" else ""
    data: dict[str, Any] = {
        "suite": {"runner": runner, "python_path": ["."], "runtime": runtime, "seconds": seconds},
        "tree": "trees/tiny.tree",
        "frame": "trees/tiny.tree",
        "edits": [{"path": path, "line": line, "old": [old], "new": [new]}],
        "passing": "passing/tiny.json",
        "fail_to_pass": fail_to_pass,
        "controlled": fail_to_pass,
        "ignored": [],
    }
    system = {"role": "system", "content": "", "tools": [tool.schema for tool in tools()]}
    user = {"role": "user", "content": "mend it"}
    return Task("code-tiny", "code", "mutant", 1, "train", (system, user), "", data)
