"""What a solution may contain: calls of tools and computation, checked on its syntax tree before it is run.

The check tells an author early and clearly what is wrong. It is not what makes a solution safe: the solution runs in
a process that has no access to the database (`solution`).
"""

import ast
from collections.abc import Collection, Iterator

_BUILTINS_TEXT = (
    "abs all any bool dict divmod enumerate float int len list max min range reversed round set sorted "
    "str sum tuple zip"
)
BUILTINS = frozenset(_BUILTINS_TEXT.split())
# Methods of lists, dictionaries, sets and strings. Not `format`: its text can name attributes.
_METHODS_TEXT = (
    "add append copy count endswith extend find get index insert isdigit items join keys lower pop remove "
    "replace reverse rstrip setdefault sort split startswith strip title update upper values"
)
METHODS = frozenset(_METHODS_TEXT.split())
MAX_CHARACTERS = 20_000
_NODES_TEXT = (
    "Assign AugAssign AnnAssign For While If Return Expr Break Continue Pass Raise "
    "BoolOp BinOp UnaryOp IfExp Dict Set ListComp SetComp DictComp GeneratorExp Compare Call FormattedValue JoinedStr "
    "Constant Attribute Subscript Starred Name List Tuple Slice"
)
_NODES = frozenset(_NODES_TEXT.split())


class AstCheckError(ValueError):
    """A solution contains something that it may not; the message names the line."""


def check_solution(text: str, tools: Collection[str]) -> None:
    """Check that `text` is one function `solution(tools, ...)` that only calls tools and computes.

    Args:
        text: Python source.
        tools: names of the tools that the solution may call.

    Raises:
        AstCheckError: it contains anything else.
    """
    if len(text) > MAX_CHARACTERS:
        raise AstCheckError(f"the solution has {len(text)} characters; the limit is {MAX_CHARACTERS}")
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise AstCheckError(f"the solution is not Python: {error}") from None
    if len(module.body) != 1 or not isinstance(module.body[0], ast.FunctionDef):
        raise AstCheckError("the solution must be one function and nothing else")
    function = module.body[0]
    given = function.args
    names = [argument.arg for argument in given.args]
    if function.name != "solution" or names[:1] != ["tools"]:
        raise AstCheckError("the function must be solution(tools)")
    if given.posonlyargs or given.kwonlyargs or given.vararg or given.kwarg:
        raise AstCheckError("the function may have only plain parameters")
    if function.decorator_list or given.defaults or function.returns or any(a.annotation for a in given.args):
        raise AstCheckError("the function may not have decorators, defaults or annotations")
    for problem in _problems(function, frozenset(tools)):
        raise AstCheckError(problem)


def _problems(function: ast.FunctionDef, tools: frozenset[str]) -> Iterator[str]:
    allowed_attributes: set[int] = set()
    annotations = {id(inner) for node in ast.walk(function) for inner in _annotation(node)}
    for node in _walk(function.body):
        if id(node) in annotations:
            continue
        if isinstance(node, ast.stmt | ast.expr) and type(node).__name__ not in _NODES:
            yield f"line {node.lineno}: {type(node).__name__} is not allowed"
        if isinstance(node, ast.Call):
            allowed_attributes.add(id(node.func))
            yield from _call_problems(node, tools)
        if isinstance(node, ast.Attribute) and id(node) not in allowed_attributes:
            yield f"line {node.lineno}: the attribute {node.attr} may not be read"
        if isinstance(node, ast.Name):
            if node.id.startswith("__"):
                yield f"line {node.lineno}: the name {node.id} is not allowed"
            if node.id == "tools" and not isinstance(node.ctx, ast.Load):
                yield f"line {node.lineno}: tools may not be assigned"


def _walk(body: list[ast.stmt]) -> Iterator[ast.AST]:
    """Yield all nodes, each call before the function that it calls."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop(0)
        yield node
        pending.extend(ast.iter_child_nodes(node))


def _annotation(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.AnnAssign):
        yield from ast.walk(node.annotation)


def _call_problems(node: ast.Call, tools: frozenset[str]) -> Iterator[str]:
    where, called = f"line {node.lineno}", node.func
    if isinstance(called, ast.Name):
        if called.id not in BUILTINS:
            yield f"{where}: {called.id}() may not be called"
    elif not isinstance(called, ast.Attribute):
        yield f"{where}: only tools, built-in functions and methods of containers may be called"
    elif isinstance(called.value, ast.Name) and called.value.id == "tools":
        if called.attr not in tools:
            yield f"{where}: there is no tool {called.attr}"
        if node.args or any(keyword.arg is None for keyword in node.keywords):
            yield f"{where}: pass the arguments of a tool by name"
    elif called.attr not in METHODS:
        yield f"{where}: the method {called.attr} may not be called"
