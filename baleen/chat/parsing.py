"""A completion's text to a message: the strict whole-text parser of the release, and a lenient one for streams.

Input is what the model wrote after the `<think>` or `</think>` that ends the prompt, end token included.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from baleen.chat.errors import ParseError
from baleen.chat.fields import Message
from baleen.chat.tokens import (
    BOS,
    CALLS_END,
    CALLS_START,
    DSML,
    EOS,
    INVOKE_END,
    INVOKE_START,
    PARAMETER_END,
    PARAMETER_START,
    THINK_END,
    THINK_START,
)

_NAME = re.compile(r'\s*name="(.*?)">\n\n?', re.DOTALL)
_PARAMETER = re.compile(r' name="(.*?)" string="(true|false)">(.*?)<\n?', re.DOTALL)
_FORBIDDEN = (BOS, EOS, THINK_START, THINK_END, DSML)


def parse_message_from_completion_text(text: str, thinking_mode: str) -> Message:
    """The assistant message of a complete completion: role, content, reasoning_content, tool_calls, always all four.

    Raises ParseError where the text does not follow the format. A `string="false"` argument is pasted unchecked,
    as in the release, so `arguments` need not be valid JSON.
    """
    reader = _Reader(text)
    reasoning = ""
    if thinking_mode == "thinking":
        reasoning, stop = reader.until(THINK_END, CALLS_START)
        if stop != THINK_END:
            raise reader.error("invalid_thinking_format", "the thinking does not end in </think>")
    content, stop = reader.until(EOS, CALLS_START)
    if stop is None:
        raise reader.error(
            "invalid_summary_format", "neither the end token nor tool calls follow the content"
        )
    calls: list[Message] = []
    if stop == CALLS_START:
        calls = _calls(reader)
        rest, stop = reader.until(EOS)
        if rest:
            raise reader.error("content_after_tool_calls", "text follows the tool calls")
    if reader.position < len(text):
        raise reader.error("content_at_end", "text follows the end token")
    for part in (content, reasoning):
        for token in _FORBIDDEN:
            if token in part:
                raise reader.error("special_token_in_content", f"{token!s} stands inside content or thinking")
    return {"role": "assistant", "content": content, "reasoning_content": reasoning, "tool_calls": calls}


class _Reader:
    """A position in a text that only moves forward."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def until(self, *stops: str) -> tuple[str, str | None]:
        """(text before the first of `stops`, that stop), or (the rest, None); the position moves past both."""
        found = [(at, stop) for stop in stops if (at := self.text.find(stop, self.position)) >= 0]
        begin = self.position
        if not found:
            self.position = len(self.text)
            return self.text[begin:], None
        at, stop = min(found)
        self.position = at + len(stop)
        return self.text[begin:at], stop

    def error(self, kind: str, message: str) -> ParseError:
        return ParseError(kind, self.position, message)


def _calls(reader: _Reader) -> list[Message]:
    """The calls of a block whose start marker was just read; an end of text right after a marker ends the block."""
    calls: list[Message] = []
    while reader.position < len(reader.text):
        between, stop = reader.until(INVOKE_START, CALLS_END)
        if between != ">\n":
            raise reader.error("tool_call_format", "a call must begin on a line of its own")
        if stop is None:
            raise reader.error("missing_special_token", "the block of calls does not end")
        if stop == CALLS_END:
            break
        calls.append(_call(reader))
    return calls


def _call(reader: _Reader) -> Message:
    head, stop = reader.until(PARAMETER_START, INVOKE_END)
    name = _NAME.fullmatch(head)
    if name is None:
        raise reader.error("tool_name_format", 'a call must begin with name="..."> and a new line')
    arguments: dict[str, str] = {}
    while stop == PARAMETER_START:
        body, _ = reader.until(PARAMETER_END)
        parameter = _PARAMETER.fullmatch(body)
        if parameter is None:
            raise reader.error(
                "parameter_format", 'a parameter must read name="..." string="true|false">value'
            )
        key, is_string, value = parameter.groups()
        if key in arguments:
            raise reader.error("duplicate_parameter", f"parameter {key!r} is given twice")
        arguments[key] = json.dumps(value, ensure_ascii=False) if is_string == "true" else value
        between, stop = reader.until(PARAMETER_START, INVOKE_END)
        if between != ">\n":
            raise reader.error("parameter_format", "a parameter must end with > and a new line")
    pairs = (f"{json.dumps(key, ensure_ascii=False)}: {value}" for key, value in arguments.items())
    function = {"name": name[1], "arguments": "{" + ", ".join(pairs) + "}"}
    return {"type": "function", "function": function}


@dataclass(frozen=True)
class Delta:
    """What more text added: thinking, content, or a whole tool call (`index` counts calls from 0)."""

    reasoning: str = ""
    content: str = ""
    index: int | None = None
    name: str | None = None
    arguments: str = ""


class StreamParser:
    """Feeds on pieces of a completion; the joined deltas do not depend on how it was cut.

    It never raises: a call that cannot be read, or that never ends, is left out and `reason` says why. Markers
    inside thinking end it, as `</think>` does. A call is given out whole, when its end was read.
    """

    def __init__(self, thinking_mode: str) -> None:
        self.reason: str | None = None
        self._state = "reasoning" if thinking_mode == "thinking" else "content"
        self._held = ""
        self._num_calls = 0

    def push(self, text: str) -> list[Delta]:
        """The deltas that `text` makes certain; a suffix that may be the start of a marker waits."""
        self._held += text
        deltas: list[Delta] = []
        while self._advance(deltas):
            pass
        return deltas

    def finish(self) -> list[Delta]:
        """The end of the completion: what waited is content or thinking after all; an open call is dropped."""
        held, self._held = self._held, ""
        if self._state == "calls" and held.strip():
            self.reason = self.reason or "the completion ended inside a tool call"
        if self._state in ("reasoning", "content") and held:
            return [self._text(held)]
        return []

    def _text(self, text: str) -> Delta:
        return Delta(reasoning=text) if self._state == "reasoning" else Delta(content=text)

    def _advance(self, deltas: list[Delta]) -> bool:
        """Move past the next marker; False when more text is needed."""
        if self._state == "done":
            self._held = ""
            return False
        if self._state == "calls":
            return self._take_call(deltas)
        after = {CALLS_START: "calls", EOS: "done"} | (
            {THINK_END: "content"} if self._state == "reasoning" else {}
        )
        found = [(at, marker) for marker in after if (at := self._held.find(marker)) >= 0]
        if found:
            at, marker = min(found)
        else:
            at, marker = len(self._held) - _overlap(self._held, tuple(after)), ""
        if at:
            deltas.append(self._text(self._held[:at]))
        self._held = self._held[at + len(marker) :]
        self._state = after.get(marker, self._state)
        return bool(marker)

    def _take_call(self, deltas: list[Delta]) -> bool:
        start, end = self._held.find(INVOKE_START), self._held.find(INVOKE_END + ">")
        block_end = self._held.find(CALLS_END)
        if block_end >= 0 and (start < 0 or block_end < start):
            self._held, self._state = self._held[block_end + len(CALLS_END) :], "done"
            return True
        if start < 0 or end < 0:
            return False
        reader = _Reader(self._held[start + len(INVOKE_START) : end + len(INVOKE_END)])
        self._held = self._held[end + len(INVOKE_END) + 1 :]
        try:
            function = _call(reader)["function"]
            deltas.append(
                Delta(index=self._num_calls, name=function["name"], arguments=function["arguments"])
            )
            self._num_calls += 1
        except ParseError as error:
            self.reason = self.reason or str(error)
        return True


def _overlap(text: str, markers: Sequence[str]) -> int:
    """Length of the longest suffix of `text` that begins a marker."""
    longest = 0
    for marker in markers:
        for size in range(min(len(marker) - 1, len(text)), longest, -1):
            if text.endswith(marker[:size]):
                longest = size
                break
    return longest
