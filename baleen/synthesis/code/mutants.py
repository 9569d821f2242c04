"""Bugs by procedure: one small change of a line, of eight kinds that people make by mistake.

Python is changed by its syntax tree but spliced into the text, so that the difference is one line and nothing else
moves. Other languages are changed token by token (`tokens`).
"""

import ast
import random
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest

from baleen.environments.code.runners import Runner
from baleen.environments.code.tree import Tree, text_of
from baleen.synthesis.code.mutant import Mutant
from baleen.synthesis.code.tokens import token_mutants

_COMPARISONS = {
    "<": "<=",
    "<=": "<",
    ">": ">=",
    ">=": ">",
    "==": "!=",
    "!=": "==",
    "in": "not in",
    "not in": "in",
    "is": "is not",
    "is not": "is",
}
_BINARY = {
    "+": "-",
    "-": "+",
    "*": "//",
    "/": "*",
    "//": "*",
    "%": "//",
    "<<": ">>",
    ">>": "<<",
    "&": "|",
    "|": "&",
}
_BOOLEAN = {"and": "or", "or": "and"}


def mutants(tree: Tree, runner: Runner, rng: random.Random) -> Iterator[Mutant]:
    """All mutants of a tree's source files in a random order that takes files, and kinds within them, in turn."""
    files = []
    parsed: dict[str, str] = {}
    for path in sorted(filter(runner.is_source, tree)):
        text = text_of(tree, path)
        if text is None:
            continue
        found = list(python_mutants(path, text) if path.endswith(".py") else token_mutants(path, text))
        kinds: dict[str, list[Mutant]] = {}
        for mutant in found:
            kinds.setdefault(mutant.kind, []).append(mutant)
        for some in kinds.values():
            rng.shuffle(some)
        order = list(kinds.values())
        rng.shuffle(order)
        files.append(_in_turn(order))
    rng.shuffle(files)
    for mutant in _in_turn(files):
        # Checked here and not for all of them: a module is parsed for each.
        if not mutant.path.endswith(".py") or _means_another(tree, mutant, parsed):
            yield mutant


def _in_turn(lists: Sequence[list[Mutant]]) -> list[Mutant]:
    return [mutant for row in zip_longest(*lists) for mutant in row if mutant is not None]


def python_mutants(path: str, text: str) -> Iterator[Mutant]:
    """Mutants of a Python module by its syntax tree. Not all of them can be parsed or mean something else."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return
    lines = text.split("\n")
    seen = set()
    for node in _live(module):
        for kind, change in _KINDS.items():
            for place, (start, end), put in change(node, lines):
                # Columns count bytes.
                row = lines[place - 1].encode()
                new = (row[:start] + put.encode() + row[end:]).decode()
                mutant = Mutant(path, place, start, kind, lines[place - 1], new)
                if new == mutant.old or (place, new) in seen:
                    continue
                seen.add((place, new))
                yield mutant


def _means_another(tree: Tree, mutant: Mutant, parsed: dict[str, str]) -> bool:
    """Whether the changed module can be parsed and differs in more than its text. parsed: what was parsed before."""
    text = text_of(tree, mutant.path) or ""
    if mutant.path not in parsed:
        parsed[mutant.path] = ast.dump(ast.parse(text))
    lines = text.split("\n")
    lines[mutant.line - 1] = mutant.new
    try:
        return ast.dump(ast.parse("\n".join(lines))) != parsed[mutant.path]
    except (SyntaxError, ValueError):
        return False


def _live(module: ast.Module) -> Iterator[ast.AST]:
    """The nodes but those of annotations, type-checking blocks and the script at a module's end."""
    queue: list[ast.AST] = [module]
    while queue:
        node = queue.pop()
        if isinstance(node, ast.If) and _is_for_others(node.test):
            queue.extend(node.orelse)
            continue
        yield node
        for name, value in ast.iter_fields(node):
            if name in ("annotation", "returns", "type_params"):
                continue
            queue.extend(v for v in (value if isinstance(value, list) else [value]) if isinstance(v, ast.AST))


def _is_for_others(test: ast.expr) -> bool:
    """Of `if TYPE_CHECKING` and `if __name__ == ...`."""
    return ast.unparse(test).split(" ")[0].rpartition(".")[2] in ("TYPE_CHECKING", "__name__")


# A change: line (from 1), byte columns it replaces, what comes there.
_Change = tuple[int, tuple[int, int], str]


def _whole(node: ast.expr, put: str) -> Iterator[_Change]:
    if node.lineno == node.end_lineno and node.end_col_offset is not None:
        yield node.lineno, (node.col_offset, node.end_col_offset), put


def _between(
    left: ast.expr, right: ast.expr, lines: Sequence[str], table: dict[str, str]
) -> Iterator[_Change]:
    """The operator between two operands on one line; brackets around them are passed over."""
    if left.end_lineno != right.lineno or left.end_col_offset is None:
        return
    gap = lines[right.lineno - 1].encode()[left.end_col_offset : right.col_offset]
    operator = gap.strip(b" ()\t")
    put = table.get(operator.decode("utf-8", "replace"))
    if put is not None:
        start = left.end_col_offset + gap.index(operator)
        yield right.lineno, (start, start + len(operator)), put


def _assign(node: ast.AST, lines: Sequence[str]) -> Iterator[_Change]:
    dunder = (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.startswith("__")
    )
    if isinstance(node, ast.Assign) and not dunder:
        yield from _whole(node.value, "None")


def _return(node: ast.AST, lines: Sequence[str]) -> Iterator[_Change]:
    if isinstance(node, ast.Return) and node.value is not None:
        yield from _whole(node.value, "None")


def _comparison(node: ast.AST, lines: Sequence[str]) -> Iterator[_Change]:
    if isinstance(node, ast.Compare):
        operands = [node.left, *node.comparators]
        for left, right in zip(operands, operands[1:], strict=False):
            yield from _between(left, right, lines, _COMPARISONS)


def _drop_if(node: ast.AST, lines: Sequence[str]) -> Iterator[_Change]:
    if isinstance(node, ast.If) and not isinstance(node.test, ast.Constant):
        yield from _whole(node.test, "True")


def _add_one(node: ast.AST, lines: Sequence[str]) -> Iterator[_Change]:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        yield from _whole(node, str(node.value + 1))


def _swap_else(node: ast.AST, lines: Sequence[str]) -> Iterator[_Change]:
    if isinstance(node, ast.If) and node.orelse and node.test.end_col_offset is not None:
        row = lines[node.test.lineno - 1].encode()
        test = row[node.test.col_offset : node.test.end_col_offset].decode("utf-8", "replace")
        yield from _whole(node.test, f"not ({test})")


def _binary(node: ast.AST, lines: Sequence[str]) -> Iterator[_Change]:
    if isinstance(node, ast.BinOp):
        yield from _between(node.left, node.right, lines, _BINARY)


def _boolean(node: ast.AST, lines: Sequence[str]) -> Iterator[_Change]:
    if isinstance(node, ast.BoolOp):
        for left, right in zip(node.values, node.values[1:], strict=False):
            yield from _between(left, right, lines, _BOOLEAN)


_KINDS: dict[str, Callable[[ast.AST, Sequence[str]], Iterator[_Change]]] = {
    "assign-none": _assign,
    "return-none": _return,
    "comparison": _comparison,
    "drop-if": _drop_if,
    "add-one": _add_one,
    "swap-else": _swap_else,
    "binary": _binary,
    "boolean": _boolean,
}
