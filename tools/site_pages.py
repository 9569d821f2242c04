"""The pages of the documentation site that are made when it is built, as a hook of MkDocs.

The README is the home page. What `baleen COMMAND --help` prints is a page, so no option is typed by hand. Every file
that a page links to, or that the map of the paper names, has a page with its source, so the site needs no address of a
repository.
"""

import ast
import contextlib
import importlib
import io
import os
import posixpath
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from unittest import mock

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from baleen.cli.main import COMMANDS, main

ROOT = Path(__file__).parent.parent
HOME, COMMAND_LINE, MAP = "index.md", "reference/commands.md", "paper_map.md"
COLUMNS = "80"  # width of the help
LANGUAGES = {".py": "python", ".toml": "toml", ".cpp": "cpp", ".md": "markdown"}
# the end of a Markdown link: `](target#anchor)`, the target a path
LINK = re.compile(r"\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")
# the cells of the map that name a file and a symbol in it
CELLS = re.compile(r"\| `(baleen/[^`|]+)` \| `([^`|]+)` \|")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are made."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, HOME, content=readme))
    files.append(File.generated(config, COMMAND_LINE, content=_commands()))
    sources = {path for page in files.documentation_pages() for path in _sources(page)}
    for path in sorted(sources):
        files.append(File.generated(config, f"source/{path}.md", content=_source_page(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead what leaves docs/ to the pages with the sources."""
    uri = page.file.src_uri
    if page.parent is None:
        page.meta["hide"] = ["navigation"]  # nothing to lead to: room for wide tables
    if uri.startswith("source/"):
        return markdown

    def within_the_site(link: re.Match[str]) -> str:
        path = _path(uri, link[1])
        target = path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}.md"
        if files.get_file_from_path(target) is None:
            return link[0]  # MkDocs reports it
        return f"]({posixpath.relpath(target, posixpath.dirname(uri) or '.')}{link[2] or ''})"

    markdown = LINK.sub(within_the_site, markdown)
    return CELLS.sub(_cells, markdown) if uri == MAP else markdown


def _path(uri: str, target: str) -> str:
    """The path from the root of the repository to what a page links to."""
    page = "README.md" if uri == HOME else f"docs/{uri}"
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def _sources(page: File) -> Iterator[str]:
    """The files outside docs/ that a page leads to."""
    text, uri = page.content_string, page.src_uri
    paths = [_path(uri, link[1]) for link in LINK.finditer(text)]
    if uri == MAP:
        paths += [cells[1] for cells in CELLS.finditer(text)]
    yield from (path for path in paths if not path.startswith(("docs/", "../")) and (ROOT / path).is_file())


def _source_page(path: str) -> str:
    source = (ROOT / path).read_text(encoding="utf-8").rstrip()
    head = f"---\ntitle: {path}\nsearch: {{exclude: true}}\n---\n# `{path}`\n"
    return f'{head}`````{LANGUAGES.get(Path(path).suffix, "text")} linenums="1"\n{source}\n`````\n'


def _cells(cells: re.Match[str]) -> str:
    """The two cells with links to the file, and to the line that defines the symbol."""
    path, symbol = cells.groups()
    line = _lines(path).get(symbol)
    anchor = f"#__codelineno-0-{line}" if line else ""
    # HTML: MkDocs does not see the anchors of highlighted lines, and would report links to them
    return (
        f'| <a href="source/{path}.html"><code>{path}</code></a> '
        f'| <a href="source/{path}.html{anchor}"><code>{symbol}</code></a> |'
    )


@cache
def _lines(path: str) -> dict[str, int]:
    """Where a Python file defines each function and class, and `Class.name` for what is in a class."""
    if not path.endswith(".py"):
        return {}
    lines: dict[str, int] = {}
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            lines[node.name] = node.lineno
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
                lines[f"{node.name}.{inner.name}"] = inner.lineno
            elif isinstance(inner, ast.AnnAssign) and isinstance(inner.target, ast.Name):
                lines[f"{node.name}.{inner.target.id}"] = inner.lineno
    return lines


def _commands() -> str:
    """The page of the command line: the help of every command as a terminal shows it."""
    parts = [f"# The command line\n\n{_help([])}"]
    for command in COMMANDS:
        parts.append(f"## baleen {command}\n\n{_help([command])}")
        module = importlib.import_module(f"baleen.cli.{command}")
        # `synth` and `agent` have commands of their own
        for word in getattr(module, "KINDS", None) or getattr(module, "ACTIONS", ()):
            parts.append(f"### baleen {command} {word}\n\n{_help([command, word])}")
    return "\n".join(parts)


def _help(words: list[str]) -> str:
    printed = io.StringIO()
    with mock.patch.dict(os.environ, COLUMNS=COLUMNS), contextlib.redirect_stdout(printed):
        code = main([*words, "--help"])
    assert code == 0, f"baleen {' '.join(words)} --help ended with {code}"
    return f"```text\n{printed.getvalue().rstrip()}\n```\n"
