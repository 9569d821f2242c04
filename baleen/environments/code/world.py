"""The world of code tasks: a repository with a fault, three tools, and a grade by the repository's tests.

The workspace is a value (`tree`). Each command runs in a sandbox of its own that gets a copy of the workspace and hands
back the changed one. So no process outlives its command, and a snapshot is the bytes of the workspace.
"""

import json
import posixpath
from pathlib import Path
from typing import Any

from baleen.chat import Message
from baleen.environments.code.edits import apply_edits
from baleen.environments.code.execution import ROOT, Shell
from baleen.environments.code.grading import Grade, grade
from baleen.environments.code.runners import RUNNERS
from baleen.environments.code.task import RUNTIMES, CodeTask
from baleen.environments.code.tree import (
    MAX_TREE_BYTES,
    MAX_TREE_FILES,
    Tree,
    from_bytes,
    text_of,
    to_bytes,
    with_text,
)
from baleen.environments.task import Task, TaskError
from baleen.environments.toolbox import Tool, Toolbox, ToolError, parameters

COMMAND_SECONDS = 60.0
_COMMAND_CHARACTERS = 50_000
_OUTPUT_CHARACTERS = 12_000  # that are shown
_MAX_LINES = 400  # of a file that are shown at once
_NAME_BYTES, _PATH_CHARACTERS = 255, 1_000


class CodeWorld:
    """An episode of a code task."""

    def __init__(self, task: Task, assets: Path | None) -> None:
        """Read the assets of the task.

        Args:
            task: a task whose data is a `CodeTask`.
            assets: the folder that its synthesis wrote.

        Raises:
            TaskError: the data is damaged, or the assets cannot be read.
            ToolFailure: this machine cannot enforce the sandbox.
        """
        if assets is None:
            raise TaskError(f"{task.id}: a code task needs the assets folder of its synthesis")
        self.task = task
        self._data = data = CodeTask.of(task)
        if data.suite.runner not in RUNNERS:
            raise TaskError(
                f"task {task.id}, data: suite.runner is {data.suite.runner!r}; it must be one of {', '.join(RUNNERS)}"
            )
        try:
            self._frame: Tree = from_bytes((assets / data.frame).read_bytes())
            self._start = apply_edits(from_bytes((assets / data.tree).read_bytes()), data.edits)
            passing = set(json.loads((assets / data.passing).read_text(encoding="utf-8")))
        except (OSError, TypeError, ValueError) as error:
            raise TaskError(
                f"{task.id}: the assets cannot be read ({error}); give the assets folder of its synthesis"
            ) from None
        self._pass_to_pass = passing - set(data.fail_to_pass) - set(data.ignored)
        runtime = assets / RUNTIMES / data.suite.runtime if data.suite.runtime else None
        self._shell = Shell(runtime, data.suite.python_path)
        self._tree = self._start
        self._toolbox = Toolbox(tools(self._bash, self._view, self._edit))

    @property
    def tree(self) -> Tree:
        """The workspace as it is now."""
        return self._tree

    @property
    def solution(self) -> Tree:
        """A workspace that scores 1.0."""
        return self._frame

    def reset(self) -> list[Message]:
        self._tree = self._start
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        return self._toolbox.answer(assistant)

    def score(self, final: Message) -> float:
        """1.0 if the tests pass with the workspace's source files, whatever the message says. Raises ToolFailure."""
        return self.grade().score

    def grade(self) -> Grade:
        """The score, and why it is not 1.0. Raises ToolFailure."""
        return grade(
            self._shell,
            self._data.suite,
            self._frame,
            self._tree,
            self._data.fail_to_pass,
            self._pass_to_pass,
            self._data.controlled,
        )

    def snapshot(self) -> bytes:
        return to_bytes(self._tree)

    def restore(self, state: bytes) -> None:
        self._tree = from_bytes(state)

    def close(self) -> None:
        pass  # nothing of a command is left when it has ended

    def _bash(self, command: str) -> str:
        if "\0" in command or len(command) > _COMMAND_CHARACTERS:
            raise ToolError(f"command: at most {_COMMAND_CHARACTERS:,} characters, none of them NUL")
        run = self._shell.run(self._tree, ["bash", "-c", command], COMMAND_SECONDS, keep=True)
        if run.died:
            raise ToolError("the command killed its own shell; the workspace is as it was before")
        if run.tree is None:
            raise ToolError(
                f"the workspace grew beyond {MAX_TREE_BYTES >> 20} MiB or {MAX_TREE_FILES} files; "
                "it is as it was before the command"
            )
        self._tree = run.tree
        ending = (
            f"[stopped after {COMMAND_SECONDS:.0f} seconds]"
            if run.code is None
            else f"[exit code {run.code}]"
        )
        output = run.output.rstrip("\n")
        if (left_out := len(output) - _OUTPUT_CHARACTERS) > 0:
            half = _OUTPUT_CHARACTERS // 2
            output = f"{output[:half]}\n[... {left_out} characters ...]\n{output[-half:]}"
        return f"{output}\n{ending}" if output else ending

    def _view(self, path: str, first: int = 1, last: int | None = None) -> str:
        name = _inside(path)
        if name not in self._tree:
            inside = {
                rest.split("/")[0] + ("/" if "/" in rest else "")
                for other in self._tree
                if (rest := other.removeprefix(f"{name}/" if name else "")) != other or not name
            }
            if not inside:
                raise ToolError(f"no file or folder {path!r}")
            return "\n".join(sorted(inside))
        lines = self._text(name).removesuffix("\n").split("\n")
        end = min(len(lines), last if last is not None else first + _MAX_LINES - 1, first + _MAX_LINES - 1)
        if first < 1 or (lines and first > len(lines)):
            raise ToolError(f"first is {first}; {path} has {len(lines)} lines")
        shown = "\n".join(f"{n:6}\t{line}" for n, line in enumerate(lines[first - 1 : end], first))
        return shown + (f"\n[{len(lines)} lines in all]" if end < len(lines) else "")

    def _edit(self, path: str, old: str, new: str) -> str:
        name = _inside(path)
        if not name:
            raise ToolError("path: name a file")
        if not old:
            if name in self._tree or any(other.startswith(f"{name}/") for other in self._tree):
                raise ToolError(f"{path} already exists; give the text to replace as old")
            _check_new_name(name, self._tree)
            self._replace(name, new)
            return f"created {path}"
        text = self._text(name)
        if (
            text.count("\r\n") * 2 > text.count("\n")
            and "\r" not in old + new
            and not ("\n" in old and old in text)
        ):
            # The lines of the file end with CR LF, which the policy need not know.
            old, new = old.replace("\n", "\r\n"), new.replace("\n", "\r\n")
        count = text.count(old)
        if count != 1:
            raise ToolError(f"old occurs {count} times in {path}; it must occur exactly once")
        self._replace(name, text.replace(old, new))
        return f"edited {path}"

    def _replace(self, name: str, text: str) -> None:
        try:
            tree = with_text(self._tree, name, text)
        except UnicodeEncodeError:
            raise ToolError("the text is not valid Unicode") from None
        if sum(len(content) for _, content in tree.values()) > MAX_TREE_BYTES or len(tree) > MAX_TREE_FILES:
            raise ToolError(
                f"the workspace would grow beyond {MAX_TREE_BYTES >> 20} MiB or {MAX_TREE_FILES} files"
            )
        self._tree = tree

    def _text(self, name: str) -> str:
        if name not in self._tree:
            raise ToolError(f"no file {name!r}")
        text = text_of(self._tree, name)
        if text is None:
            raise ToolError(f"{name} is not a text file")
        return text


def tools(bash: Any = None, view: Any = None, edit: Any = None) -> list[Tool]:
    """The three tools. Without functions only their schemas are of use, for a system message."""
    text = {"type": "string"}
    line = {"type": "integer", "minimum": 1}
    shell = (
        f"Run a bash command in {ROOT}, for at most {COMMAND_SECONDS:.0f} s. There is no network. "
        "Changed files are kept, processes are not."
    )
    ranged = parameters({"path": text, "first": line, "last": line}, ["path"])
    return [
        Tool("bash", shell, parameters({"command": text}), bash),
        Tool("view", "Show lines first to last of a file, numbered, or the names in a folder", ranged, view),
        Tool(
            "edit",
            "Replace `old`, which must occur exactly once in the file, with `new`; if `old` is empty, create the file",
            parameters({"path": text, "old": text, "new": text}),
            edit,
        ),
    ]


def _check_new_name(name: str, tree: Tree) -> None:
    """Raise ToolError for a name that no file can have, so that the policy is blamed for it and not the sandbox."""
    if any(name.startswith(f"{other}/") for other in tree):
        raise ToolError(f"{name!r} is inside a file, not a folder")
    try:
        longest = max(len(part.encode("utf-8", "surrogateescape")) for part in name.split("/"))
    except UnicodeEncodeError:
        raise ToolError("the path is not valid Unicode") from None
    if "\0" in name or longest > _NAME_BYTES or len(name) > _PATH_CHARACTERS:
        raise ToolError(
            f"path: at most {_PATH_CHARACTERS} characters, {_NAME_BYTES} bytes in each name, none of them NUL"
        )


def _inside(path: str) -> str:
    """The tree key of a path, absolute or relative to the root; "" for the root itself."""
    name = posixpath.normpath(posixpath.join(ROOT, path))
    if name != ROOT and not name.startswith(f"{ROOT}/"):
        raise ToolError(f"{path!r} is outside {ROOT}")
    return name[len(ROOT) + 1 :]
