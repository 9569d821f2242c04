"""The plain twin of `baleen.chat.parsing`: reads a whole completion by `find` and regular expressions."""

import json
import re

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


def parse_whole_text(text: str, thinking_mode: str) -> Message:
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
