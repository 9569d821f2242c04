"""Mutants of any language with C's operators: found in the text, outside of comments and literals."""

import re
from collections.abc import Iterator

from baleen.synthesis.code.mutant import Mutant

# Comments, literals and preprocessor lines are passed over whole.
_PASSED_OVER = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|^[ \t]*\#[^\n]*""",
    re.DOTALL | re.MULTILINE,
)
# Spaces around `<` and `>` tell a comparison from a template's brackets, those around `+` from a sign.
_RULES: tuple[tuple[str, str, dict[str, str]], ...] = (
    (
        "comparison",
        r"(?<= )(===|!==|==|!=|<=|>=|<|>)(?= )",
        {"===": "!==", "!==": "===", "==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">"},
    ),
    ("boolean", r"(?<= )(&&|\|\|)(?= )", {"&&": "||", "||": "&&"}),
    ("binary", r"(?<= )([-+*/%])(?= )", {"+": "-", "-": "+", "*": "/", "/": "*", "%": "/"}),
    ("step", r"(\+\+|--)", {"++": "--", "--": "++"}),
    ("truth", r"\b(true|false)\b", {"true": "false", "false": "true"}),
)
_INTEGER = re.compile(r"(?<![\w.])(0|[1-9]\d*)(?![\w.])")


def token_mutants(path: str, text: str) -> Iterator[Mutant]:
    # Blanks of the same length keep the columns.
    code = _PASSED_OVER.sub(lambda match: re.sub(r"[^\n]", "\0", match[0]), text)
    for number, (row, line) in enumerate(zip(code.split("\n"), text.split("\n"), strict=True), 1):
        for kind, pattern, table in _RULES:
            for match in re.finditer(pattern, row):
                new = line[: match.start()] + table[match[1]] + line[match.end() :]
                yield Mutant(path, number, match.start(), kind, line, new)
        for match in _INTEGER.finditer(row):
            new = line[: match.start()] + str(int(match[1]) + 1) + line[match.end() :]
            yield Mutant(path, number, match.start(), "add-one", line, new)
