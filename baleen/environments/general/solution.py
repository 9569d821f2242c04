"""Running a solution where it can reach nothing but its tools: in a sandboxed process of its own.

The database is in this process (for tools that are data) or in the tool server's, never in the solution's. A pipe
carries the names and arguments of calls one way and their results the other.
"""

import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any

from baleen.environments.general.ast_check import check_solution
from baleen.environments.general.process import ProcessEnded, Program
from baleen.environments.general.tools import ToolSource, as_text
from baleen.environments.toolbox import Tool, Toolbox, ToolError

MAX_CALLS = 200
SECONDS = 20.0


class SolutionError(ValueError):
    """A solution is not allowed, fails, or returns no usable answer; the message is for its author."""


def run_solution(
    text: str,
    source: ToolSource,
    parameters: Mapping[str, Any] | None = None,
    offered: Collection[str] | None = None,
    check_ast: bool = True,
) -> str:
    """Run `solution(tools, **parameters)`; what it does to the database is in `source` afterwards.

    Args:
        text: Python source of the function.
        source: the tools and their database.
        parameters: keyword arguments of the function.
        offered: names of the tools that it may call; all of them by default.
        check_ast: False only to test that the sandbox alone is enough.

    Returns:
        The answer as text.

    Raises:
        SolutionError: there is no answer; the message says why.
        SandboxUnavailable: this machine cannot enforce the sandbox.
    """
    schemas = {s["name"]: s for s in source.schemas if offered is None or s["name"] in offered}
    if check_ast:
        try:
            check_solution(text, schemas)
        except ValueError as error:
            raise SolutionError(str(error)) from None
    check = Toolbox([Tool(s["name"], "", s["parameters"], _nothing) for s in schemas.values()])
    with Program("solver", {"solution_text": text}) as program:
        try:
            program.send(dict(parameters or {}))
            return _serve(program, source, check)
        except ProcessEnded as error:
            raise SolutionError(f"the solution failed: {error}") from None


def _serve(program: Program, source: ToolSource, check: Toolbox) -> str:
    ends = time.monotonic() + SECONDS
    for _ in range(MAX_CALLS + 1):
        line = program.receive(ends - time.monotonic())
        if "tool" not in line:
            break
        with suppress(ProcessEnded):  # a program that has ended may have left the reason in the pipe
            program.send(_reply(line, source, check))
    else:
        raise SolutionError(f"the solution makes more than {MAX_CALLS} calls")
    if "answer" not in line:
        raise SolutionError(f"the solution failed: {str(line.get('failed'))[:500]}")
    return answer_text(line["answer"])


def _reply(line: Mapping[str, Any], source: ToolSource, check: Toolbox) -> dict[str, Any]:
    name, arguments = line["tool"], line.get("arguments", {})
    # The same checks as for a policy's calls: a solution must show what a policy can do.
    refusal = check.refusal(name, arguments)
    if refusal:
        return {"error": refusal}
    try:
        return {"result": source.call(name, arguments)}
    except ToolError as error:
        return {"error": str(error)}


def answer_text(answer: Any) -> str:
    """An answer as a policy would write it. Raises SolutionError unless it is a short value."""
    if answer is None or isinstance(answer, dict):
        raise SolutionError(
            f"the answer is a {type(answer).__name__}; return a number, a string or a list of them"
        )
    if isinstance(answer, list):
        return ", ".join(answer_text(item) for item in answer)
    text = as_text(answer).strip()
    if not text or len(text) > 500:
        raise SolutionError(f"the answer has {len(text)} characters; it must have 1 to 500")
    return text


def _nothing(**_: Any) -> str:
    return ""
