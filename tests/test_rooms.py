"""The design, held by a test: which room may import which, how large files and functions may grow, which
rooms stay free of torch, which unsafe calls appear nowhere, and that the map of the paper is true."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "baleen"

# room -> rooms it may import; `cli`, which wires them together, may import all
ALLOWED: dict[str, set[str]] = {
    "config": set(),
    "runs": {"config"},
    "chat": set(),
    "ops": set(),
    "cost": {"config"},
    "model": {"config", "cost", "ops", "runs"},
    "parallel": {"config", "model"},
    "data": {"config", "chat", "runs"},
    "train": {"config", "runs", "model", "parallel", "data"},
    "engine": {"config", "ops", "model", "parallel"},
    "server": {"config", "chat", "engine", "cost"},
    "environments": {"config", "chat", "runs"},
    "agent": {"config", "runs", "chat", "environments", "cost"},
    "synthesis": {"config", "runs", "chat", "environments", "agent"},
    "proof": {"config", "runs", "chat", "environments", "agent"},
    "rl": {"config", "runs", "chat", "model", "parallel", "data", "train", "engine", "environments", "agent"},
    "evaluation": {"config", "runs", "chat", "environments", "agent", "cost"},
    "stages": {
        *(
            "config",
            "runs",
            "chat",
            "cost",
            "ops",
            "model",
            "parallel",
            "data",
            "train",
            "engine",
            "environments",
        ),
        *("agent", "rl", "evaluation", "bench"),
    },
    "bench": {"config", "runs", "chat", "ops", "model", "engine", "cost", "evaluation"},
    "report": {"config", "runs", "chat", "environments", "agent", "cost", "synthesis", "evaluation"},
}
# `data.corpus` too: the packed streams beside it hold arrays, and the text itself needs none
WITHOUT_TORCH = (
    "config",
    "runs",
    "cost",
    "chat",
    "environments",
    "agent",
    "synthesis",
    "proof",
    "evaluation",
    "report",
)
MODULES_WITHOUT_TORCH = (
    "baleen",
    "baleen.data.corpus",
    "baleen.cli.main",
    "baleen.cli.progress",
)
FILE_LIMIT, USUAL_FILE_LIMIT, USUAL_SHARE, FUNCTION_LIMIT = 400, 250, 0.85, 80
BANNED_CALLS = {
    "eval",
    "exec",
    "__import__",
    "os.system",
    "torch.load",
    "yaml.load",
    "pickle.load",
    "pickle.loads",
}
BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def room_of(path: Path) -> str:
    inside = path.relative_to(PACKAGE)
    return inside.parts[0] if len(inside.parts) > 1 else ""


def imported_names(tree: ast.AST, package: str = "") -> Iterator[str]:
    """Dotted names of all modules imported anywhere in `tree`: at the top, in functions, under TYPE_CHECKING.

    `package` is the dotted package of the file, for relative imports.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = package.split(".")
                base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [base])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "importlib.import_module",
            "import_module",
        ):
            first = node.args[0] if node.args else None
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                yield first.value


def rooms_used(path: Path) -> set[str]:
    package = ".".join(path.relative_to(ROOT).parent.parts)
    names = (name.split(".") for name in imported_names(parse(path), package))
    used = {parts[1] for parts in names if parts[0] == "baleen" and len(parts) > 1}
    return {name for name in used if (PACKAGE / name).is_dir()} - {room_of(path)}


def test_rooms_import_only_what_the_design_allows() -> None:
    wrong = []
    for path in sources():
        room = room_of(path)
        if room in ("cli", ""):  # the front door leads to every room, lazily
            continue
        extra = rooms_used(path) - ALLOWED.get(room, set())
        if extra:
            wrong.append(f"{path.relative_to(ROOT)} imports {', '.join(sorted(extra))}")
    assert not wrong, "\n".join(wrong)


def test_every_room_is_in_the_table() -> None:
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and list(path.rglob("*.py"))}
    assert rooms - {"cli"} <= set(ALLOWED)


def test_only_the_application_of_the_server_knows_its_dialects() -> None:
    """A folder in `server/` speaks one API. The rest serves any API, but for the application that mounts them."""
    server = PACKAGE / "server"
    dialects = {path.name for path in server.iterdir() if (path / "__init__.py").exists()}
    assert "openai" in dialects
    wrong = []
    for path in sorted(server.rglob("*.py")):
        package = ".".join(path.relative_to(ROOT).parent.parts)
        names = [name.split(".") for name in imported_names(parse(path), package)]
        used = {parts[2] for parts in names if parts[:2] == ["baleen", "server"] and len(parts) > 2}
        foreign = (used & dialects) - {path.relative_to(server).parts[0]}
        if foreign and path != server / "app.py":
            wrong.append(f"{path.relative_to(ROOT)} imports {', '.join(sorted(foreign))}")
    assert not wrong, "\n".join(wrong)


def test_no_cycles_in_the_table() -> None:
    order: list[str] = []
    while len(order) < len(ALLOWED):
        free = [room for room in ALLOWED if room not in order and ALLOWED[room] <= set(order)]
        assert free, f"rooms that import each other: {sorted(set(ALLOWED) - set(order))}"
        order += free


def test_the_import_finder_sees_lazy_and_relative_imports() -> None:
    tree = ast.parse(
        "def f():\n    from ..model import x\n    import baleen.rl.loss\nimport_module('baleen.cli.main')"
    )
    names = set(imported_names(tree, "baleen.chat"))
    assert {"baleen.model", "baleen.rl.loss", "baleen.cli.main"} <= names


def test_file_sizes() -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    too_long = {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > FILE_LIMIT}
    assert not too_long, f"over {FILE_LIMIT} lines: {too_long}"
    usual = sum(n <= USUAL_FILE_LIMIT for n in lines.values()) / len(lines)
    assert usual >= USUAL_SHARE, f"only {usual:.0%} of the files have at most {USUAL_FILE_LIMIT} lines"


def test_function_sizes() -> None:
    too_long = []
    for path in sources():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LIMIT:
                    too_long.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name} has {length} lines")
    assert not too_long, "\n".join(too_long)


def test_modules_have_docstrings() -> None:
    bare = [str(path.relative_to(ROOT)) for path in sources() if not ast.get_docstring(parse(path))]
    assert not bare, f"say what the file is for in its first line: {bare}"


def modules_of(room: str) -> list[str]:
    return [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sources()
        if room_of(path) == room
    ]


def test_rooms_without_torch_stay_without_it() -> None:
    """Imports every module of those rooms in one fresh interpreter in which torch cannot be imported."""
    names = [name for room in WITHOUT_TORCH for name in modules_of(room)] + list(MODULES_WITHOUT_TORCH)
    names = [name for name in names if not name.endswith("__main__")]
    program = (
        f"import sys, importlib\nsys.modules['torch'] = None\nfor n in {names}: importlib.import_module(n)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


def unsafe(tree: ast.AST) -> Iterator[str]:
    """What in `tree` can run code hidden in data, or a shell."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = (
                [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            )
            names = [alias.name for alias in node.names] if isinstance(node, ast.ImportFrom) else []
            yield from (
                f"line {node.lineno}: import {m}" for m in modules if m.split(".")[0] in BANNED_MODULES
            )
            yield from (
                f"line {node.lineno}: {m}.{n}" for m in modules for n in names if f"{m}.{n}" in BANNED_CALLS
            )
        if isinstance(node, ast.Call):
            if ast.unparse(node.func).removeprefix("builtins.") in BANNED_CALLS:
                yield f"line {node.lineno}: {ast.unparse(node.func)}(...)"
            for keyword in node.keywords:
                false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in ("shell", "trust_remote_code", "allow_pickle") and not false:
                    yield f"line {node.lineno}: {keyword.arg}={ast.unparse(keyword.value)}"


def test_nothing_unsafe_in_the_package() -> None:
    found = [f"{path.relative_to(ROOT)} {what}" for path in sources() for what in unsafe(parse(path))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\nx = torch.load('f')",
        "from torch import load",
        "eval('1')",
        "exec(text)",
        "builtins.eval(text)",
        "subprocess.run('ls', shell=True)",
        "AutoModel.from_pretrained(p, trust_remote_code=flag)",
        "numpy.load(p, allow_pickle=True)",
    ],
)
def test_the_unsafe_finder_finds(code: str) -> None:
    assert list(unsafe(ast.parse(code)))


def test_the_unsafe_finder_is_not_a_text_search() -> None:
    assert not list(unsafe(ast.parse("model.eval()\nsubprocess.run(['ls'], shell=False)\n'eval(x)'")))


def map_rows() -> list[tuple[str, str, str, str]]:
    """(mechanism, file, symbol, test) of every row in docs/paper_map.md that names a file."""
    rows = []
    for line in (ROOT / "docs" / "paper_map.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and re.match(r"`[\w/.\-]+`", cells[1]):
            rows.append((cells[0], cells[1].strip("`"), cells[2].strip("`"), cells[3].strip("`")))
    return rows


def symbols(path: Path) -> set[str]:
    """Names defined at the top of a Python file, `Class.method` and `Class.field` for what a class holds."""
    names: set[str] = set()
    for node in parse(path).body:
        names |= _names_of(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for inner in node.body for name in _names_of(inner)}
    return names


def _names_of(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    targets = (
        node.targets
        if isinstance(node, ast.Assign)
        else [node.target]
        if isinstance(node, ast.AnnAssign)
        else []
    )
    return {target.id for target in targets if isinstance(target, ast.Name)}


def test_the_paper_map_points_at_code_that_exists() -> None:
    rows = map_rows()
    assert len(rows) >= 20, "the table of docs/paper_map.md was not recognized"
    wrong = []
    for mechanism, file, symbol, test in rows:
        path = ROOT / file
        if not path.exists():
            wrong.append(f"{mechanism}: {file} does not exist")
        elif path.suffix == ".py" and symbol and symbol not in symbols(path):
            wrong.append(f"{mechanism}: {file} defines no {symbol}")
        if test == "–":  # written before its test: the row says so openly
            continue
        test_file, _, test_name = test.partition("::")
        if not (ROOT / test_file).is_file():
            wrong.append(f"{mechanism}: test {test_file} does not exist")
        elif test_name and test_name not in symbols(ROOT / test_file):
            wrong.append(f"{mechanism}: {test_file} defines no {test_name}")
    assert not wrong, "\n".join(wrong)


def test_the_paper_map_says_nothing_twice() -> None:
    rows = map_rows()
    mechanisms, places = [row[0] for row in rows], [row[1:] for row in rows]
    twice = {row for seen in (mechanisms, places) for row in seen if seen.count(row) > 1}
    assert not twice, twice


def test_every_command_has_a_module() -> None:
    commands = importlib.import_module("baleen.cli.main").COMMANDS
    missing = [name for name in commands if "main" not in _defined(PACKAGE / "cli" / f"{name}.py")]
    assert not missing, f"baleen/cli/NAME.py with main(argv) is missing for {missing}"


def _defined(path: Path) -> set[str]:
    return symbols(path) if path.exists() else set()
