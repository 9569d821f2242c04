"""A chat model as the author: JSON out of whatever it says, faults fed back, a bounded number of tries."""

import ast
import json
import random
from collections.abc import Iterator, Mapping
from typing import Any

from baleen.agent import ChatModel, ModelFailure, Usage
from baleen.chat import Message
from baleen.environments.general import EnvironmentSpec
from baleen.environments.task import split_of
from baleen.synthesis.general.prompts import (
    THEMES,
    ToolKind,
    begin_prompt,
    harder_prompt,
    repair_prompt,
    system_prompt,
)
from baleen.synthesis.general.proposal import AuthorFailure, Proposal, Rejection

_NEW = {"name": str, "database": str, "tools": list, "ignored": list}
_TASK = {"question": str, "solution": str, "verification": str}
MAX_FIELD = 200_000  # characters of one field


class ModelAuthor:
    """The author of one environment. The theme comes from `seed`; `tools` says what tools are written in.

    readings: tries at one proposal until it is JSON with the right fields.
    """

    def __init__(self, model: ChatModel, seed: str, tools: ToolKind, readings: int = 3) -> None:
        self.usage = Usage()
        self._model = model
        self._tools: ToolKind = tools
        self._readings = readings
        self._theme = random.Random(seed).choice(THEMES)
        self._request: Message = {"role": "user", "content": begin_prompt(self._theme)}
        self._said = ""  # the last answer, which a repair is about
        self._base: Proposal | None = None  # what a harder task builds on
        self._level = 1

    def begin(self) -> Proposal:
        return self._ask([])

    def repair(self, proposal: Proposal, rejection: Rejection) -> Proposal:
        # The last answer and its fault, not all of them: an author that needs four tries must not pay for four.
        complaint: Message = {"role": "user", "content": repair_prompt(rejection.reason, rejection.detail)}
        return self._ask([{"role": "assistant", "content": self._said}, complaint])

    def harder(self, proposal: Proposal) -> Proposal | None:
        self._base, self._level = proposal, proposal.level + 1
        self._request = {"role": "user", "content": harder_prompt(_shown(proposal), self._level)}
        return self._ask([])

    def _ask(self, further: list[Message]) -> Proposal:
        fault = ""
        for _ in range(self._readings):
            try:
                return self._read(self._answer(further))
            except _Unreadable as error:
                fault = str(error)
                complaint: Message = {"role": "user", "content": repair_prompt(fault, error.detail)}
                further = [{"role": "assistant", "content": self._said or "..."}, complaint]
        raise AuthorFailure(fault)

    def _answer(self, further: list[Message]) -> dict[str, Any]:
        system: Message = {"role": "system", "content": system_prompt(self._tools)}
        try:
            reply = self._model.complete([system, self._request, *further], temperature=1.0)
        except ModelFailure as failure:
            # After the retries of the model's own: another try would only be more of them.
            raise AuthorFailure("the author model gave no answer") from failure
        self.usage += Usage(reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens, reply.dollars)
        content = reply.message.get("content")
        self._said = content if isinstance(content, str) else ""
        if reply.finish_reason == "length":
            raise _Unreadable("answer was cut off", "write a smaller environment")
        if reply.finish_reason == "content_filter" or not self._said.strip():
            raise _Unreadable("author refused", "the task is harmless: write it")
        found = max(_objects(self._said), key=len, default=None)
        if found is None:
            raise _Unreadable("answer is not JSON", "answer with one JSON object")
        return found

    def _read(self, found: Mapping[str, Any]) -> Proposal:
        base = self._base
        environment: dict[str, Any] = {} if base is None else base.environment.to_data()
        wanted = _TASK if base is not None else {**_NEW, **_TASK}
        for key, kind in wanted.items():
            if not isinstance(found.get(key), kind):
                raise _Unreadable(
                    "field is missing", f'"{key}" must be a {"list" if kind is list else "string"}'
                )
        for key in ("name", "database", "tools", "ignored", "code"):
            if key in found and (base is None or key in ("tools", "code")):
                environment[key] = found[key]
        environment["code"] = environment.get("code", "") if self._tools == "python" else ""
        if any(len(json.dumps(found[key])) > MAX_FIELD for key in wanted):
            raise _Unreadable("field is too long", f"no field may have over {MAX_FIELD} characters")
        self._check_tools(environment)
        if not all(isinstance(column, str) for column in environment["ignored"]):
            raise _Unreadable("field is missing", '"ignored" must be a list of strings')
        return Proposal(
            environment=EnvironmentSpec.from_data(environment),
            offered=tuple(tool["name"] for tool in environment["tools"]),
            question=found["question"].strip(),
            solution=found["solution"],
            level=self._level,
            split=split_of("general", environment["name"]),
            verification=found["verification"],
        )

    def _check_tools(self, environment: Mapping[str, Any]) -> None:
        for tool in environment["tools"]:
            if not isinstance(tool, dict) or not isinstance(tool.get("name"), str):
                raise _Unreadable("tools are broken", 'every tool must be an object with a "name"')
        if self._tools != "python":
            return
        if not isinstance(environment["code"], str):
            raise _Unreadable("field is missing", '"code" must be a string')
        try:
            body = ast.parse(environment["code"]).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            raise _Unreadable("tools are broken", f"the code is not Python: {error}") from None
        defined = {node.name for node in body if isinstance(node, ast.FunctionDef)}
        missing = {tool["name"] for tool in environment["tools"]} - defined
        if missing or not environment["tools"]:
            raise _Unreadable(
                "tools are broken", f"the code does not define {', '.join(sorted(missing)) or 'a tool'}"
            )


class _Unreadable(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason)
        self.detail = detail


def _shown(proposal: Proposal) -> dict[str, Any]:
    return {
        **proposal.environment.to_data(),
        "question": proposal.question,
        "solution": proposal.solution,
        "verification": proposal.verification,
    }


def _objects(text: str) -> Iterator[dict[str, Any]]:
    """The JSON objects in a text, whatever stands around them."""
    decoder = json.JSONDecoder(strict=False)  # models write line breaks into strings
    position = text.find("{")
    while position >= 0:
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError):
            position += 1
        else:
            if isinstance(value, dict):
                yield value
        position = text.find("{", position)
