"""A completion's text to a message: one parser that is fed with pieces, and the strict reading of a whole text.

Input is what the model wrote after the `<think>` or `</think>` that ends the prompt, end token included:

    thinking </think> content, then the end token or
    \\n\\n<DSML function_calls>
    <DSML invoke name="NAME">
    <DSML parameter name="KEY" string="true|false">VALUE</DSML parameter>
    </DSML invoke>
    </DSML function_calls>

Each character is looked at a bounded number of times, so time is linear however the text is cut. The grammar,
with what it lets pass and what it refuses, is the one of the release's `parse_message_from_completion_text`.
"""

import json
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from baleen.chat.errors import ParseError
from baleen.chat.fields import Message
from baleen.chat.markers import Markers
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
_STRING_TRUE, _STRING_FALSE = '" string="true">', '" string="false">'


# What ends each part of a completion.
_THINKING = Markers(CALLS_START, THINK_END, BOS, EOS, THINK_START, DSML)
_CONTENT = Markers(CALLS_START, EOS, BOS, THINK_START, THINK_END, DSML)
_BETWEEN_CALLS = Markers(INVOKE_START, CALLS_END)
_BETWEEN_PARAMETERS = Markers(PARAMETER_START, INVOKE_END)
_BEFORE_KEY = Markers(' name="')
_KEY = Markers(_STRING_TRUE, _STRING_FALSE, PARAMETER_END)
_VALUE = Markers("<" + PARAMETER_END, "<\n" + PARAMETER_END, PARAMETER_END)
_AFTER_CALLS = Markers(EOS)
_AFTER_END = Markers()

_T = TypeVar("_T")
_Reads = Generator[None, None, _T]  # asks for more text by yielding


@dataclass(frozen=True)
class Delta:
    """What more text added: thinking, content, or a piece of tool call `index` (from 0).

    The first piece of a call has its name. The pieces of its arguments join to the text of a JSON object,
    complete with the piece that `closes_call`.
    """

    reasoning: str = ""
    content: str = ""
    index: int | None = None
    name: str | None = None
    arguments: str = ""
    closes_call: bool = False


def parse_message_from_completion_text(text: str, thinking_mode: str) -> Message:
    """The assistant message of a complete completion: role, content, reasoning_content, tool_calls, always all four.

    Raises ParseError where the text does not follow the format. A `string="false"` argument is pasted unchecked,
    as in the release, so `arguments` need not be valid JSON.
    """
    parser = StreamParser(thinking_mode)
    deltas = parser.push(text) + parser.finish()
    if parser.error:
        raise parser.error
    calls: list[Message] = [
        {"type": "function", "function": {"name": delta.name, "arguments": ""}}
        for delta in deltas
        if delta.name is not None
    ]
    arguments: list[list[str]] = [[] for _ in calls]
    for delta in deltas:
        if delta.index is not None:
            arguments[delta.index].append(delta.arguments)
    for call, pieces in zip(calls, arguments, strict=True):
        call["function"]["arguments"] = "".join(pieces)
    return {
        "role": "assistant",
        "content": "".join(delta.content for delta in deltas),
        "reasoning_content": "".join(delta.reasoning for delta in deltas),
        "tool_calls": calls,
    }


class StreamParser:
    """Feeds on pieces of a completion; the joined deltas do not depend on how it was cut.

    It never raises. `error` is what the strict parser would raise, and the deltas are what was understood:
    control tokens inside thinking or content are left out of it; a block of calls ends thinking as `</think>`
    does; the first thing that cannot be read in a block of calls, and all that follows, is dropped. So a call
    that broke off is never closed, and nobody takes it for a complete one.
    """

    def __init__(self, thinking_mode: str) -> None:
        """thinking_mode: "thinking" where the prompt ended in `<think>`; anything else starts with content."""
        self.error: ParseError | None = None
        self._text = ""
        self._at = 0  # what stands before it in `_text` was dealt with
        self._offset = 0  # characters of the completion before `_text`
        self._ended = self._truncated = False
        self._deltas: list[Delta] = []
        self._num_calls = 0
        self._misplaced: ParseError | None = None
        self._reading = self._read(thinking_mode == "thinking")

    def push(self, text: str) -> list[Delta]:
        """The deltas that `text` makes certain; a suffix that may be the start of a marker waits."""
        self._offset += self._at
        self._text, self._at = self._text[self._at :] + text, 0
        # Exhausted once something could not be read: the rest is dropped.
        next(self._reading, None)
        deltas, self._deltas = self._deltas, []
        return deltas

    def finish(self, truncated: bool = False) -> list[Delta]:
        """The end of the completion: what waited was no marker after all.

        Like the release, takes a block of calls that just stops after a parameter or a call for complete;
        with `truncated` (the completion was cut for its length) an open call stays open.
        """
        self._ended, self._truncated = True, truncated
        return self.push("")

    def _read(self, thinking: bool) -> _Reads[None]:
        try:
            yield from self._completion(thinking)
        except ParseError as error:
            self.error = self.error or error
        self.error = self.error or self._misplaced

    def _completion(self, thinking: bool) -> _Reads[None]:
        marker: str | None = THINK_END
        if thinking:
            marker = yield from self._prose(_THINKING, THINK_END, lambda text: Delta(reasoning=text))
            if marker is None:
                raise self._problem("invalid_thinking_format", "the thinking does not end in </think>")
            if marker == CALLS_START:
                self.error = self._problem("invalid_thinking_format", "tool calls begin inside the thinking")
        if marker == THINK_END:
            marker = yield from self._prose(_CONTENT, EOS, lambda text: Delta(content=text))
            if marker is None:
                message = "neither the end token nor tool calls follow the content"
                raise self._problem("invalid_summary_format", message)
        if marker == CALLS_START:
            yield from self._calls()
            rest, _ = yield from self._whole(_AFTER_CALLS)
            if rest:
                raise self._problem("content_after_tool_calls", "text follows the tool calls")
        rest, _ = yield from self._whole(_AFTER_END)
        if rest:
            raise self._problem("content_at_end", "text follows the end token")

    def _prose(self, markers: Markers, end: str, delta: Callable[[str], Delta]) -> _Reads[str | None]:
        """Thinking or content up to its end or a block of calls; leaves other control tokens out."""

        def take(text: str) -> None:
            if DSML not in text:  # it is there only where the completion ends inside a block's first tag
                self._deltas.append(delta(text))

        while True:
            marker = yield from self._until(markers, take)
            if marker in (end, CALLS_START, None):
                return marker
            message = f"{marker} stands inside content or thinking"
            self._misplaced = self._misplaced or self._problem("special_token_in_content", message)

    def _calls(self) -> _Reads[None]:
        while True:
            between, marker = yield from self._whole(_BETWEEN_CALLS)
            if not between and marker is None:
                return
            if between != ">\n":
                raise self._problem("tool_call_format", "a call must begin on a line of its own")
            if marker is None:
                raise self._problem("missing_special_token", "the block of calls does not end")
            if marker == CALLS_END:
                return
            yield from self._call()

    def _call(self) -> _Reads[None]:
        head, marker = yield from self._whole(_BETWEEN_PARAMETERS)
        name = _NAME.fullmatch(head)
        if name is None:
            raise self._problem("tool_name_format", 'a call must begin with name="..."> and a new line')
        self._deltas.append(Delta(index=self._num_calls, name=name[1], arguments="{"))
        self._num_calls += 1
        keys: set[str] = set()
        while marker == PARAMETER_START:
            yield from self._parameter(keys)
            between, marker = yield from self._whole(_BETWEEN_PARAMETERS)
            if between != ">\n":
                raise self._problem("parameter_format", "a parameter must end with > and a new line")
        if marker is None and self._truncated:
            raise self._problem("missing_special_token", "the completion was cut inside a tool call")
        self._deltas.append(Delta(index=self._num_calls - 1, arguments="}", closes_call=True))

    def _parameter(self, keys: set[str]) -> _Reads[None]:
        message = 'a parameter must read name="..." string="true|false">value'
        before, marker = yield from self._whole(_BEFORE_KEY)
        if before or marker is None:
            raise self._problem("parameter_format", message)
        key, quote = yield from self._whole(_KEY)
        if quote not in (_STRING_TRUE, _STRING_FALSE):
            raise self._problem("parameter_format", message)
        is_string = quote == _STRING_TRUE
        if key in keys:
            value, marker = yield from self._whole(_VALUE)
            if marker is None and value.endswith(("<", "<\n")):
                marker = "<"  # the release takes the end of the text for the end of the parameter here
        else:
            self._arguments((", " if keys else "") + _dumps(key) + (': "' if is_string else ": "))
            take = (lambda text: self._arguments(_dumps(text)[1:-1])) if is_string else self._arguments
            marker = yield from self._until(_VALUE, take)
        if marker in (None, PARAMETER_END):
            raise self._problem("parameter_format", message)
        if key in keys:
            raise self._problem("duplicate_parameter", f"parameter {key!r} is given twice")
        if is_string:
            self._arguments('"')
        keys.add(key)

    def _arguments(self, text: str) -> None:
        self._deltas.append(Delta(index=self._num_calls - 1, arguments=text))

    def _whole(self, markers: Markers) -> _Reads[tuple[str, str | None]]:
        """(all text before the next marker, that marker or None at the end of the completion)."""
        pieces: list[str] = []
        marker = yield from self._until(markers, pieces.append)
        return "".join(pieces), marker

    def _until(self, markers: Markers, take: Callable[[str], None]) -> _Reads[str | None]:
        """Give text to `take` as soon as it is certain; the next marker, None at the end of the completion."""
        while True:
            at, marker = markers.find(self._text, self._at)
            if marker is None and self._ended:
                at = len(self._text)
            if at > self._at:
                take(self._text[self._at : at])
            self._at = at + len(marker or "")
            if marker is not None or self._ended:
                return marker
            yield

    def _problem(self, kind: str, message: str) -> ParseError:
        return ParseError(kind, self._offset + self._at, message)


def _dumps(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
