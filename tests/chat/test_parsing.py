"""The whole-text parser against our own golden texts, and the stream parser against it for every cut in two."""

import json

import pytest

from baleen.chat import ParseError, StreamParser, parse_message_from_completion_text
from baleen.chat.tokens import DSML, EOS

PING = f'<{DSML}invoke name="ping">\n\n</{DSML}invoke>\n'
ADD = (
    f'<{DSML}invoke name="add">\n<{DSML}parameter name="a" string="false">1</{DSML}parameter>\n'
    f'<{DSML}parameter name="b" string="true">x "y"\n</{DSML}parameter>\n</{DSML}invoke>\n'
)


def block(*calls: str) -> str:
    return f"\n\n<{DSML}function_calls>\n{''.join(calls)}</{DSML}function_calls>"


GOOD = [
    ("chat", f"hello{EOS}", "", "hello", []),
    ("thinking", f"why</think>so{EOS}", "why", "so", []),
    ("thinking", f"</think>a < b, 2 <｜ 3{EOS}", "", "a < b, 2 <｜ 3", []),
    ("thinking", f"t</think>c{block(ADD)}{EOS}", "t", "c", [("add", '{"a": 1, "b": "x \\"y\\"\\n"}')]),
    ("chat", f"{block(PING, ADD)}", "", "", [("ping", "{}"), ("add", '{"a": 1, "b": "x \\"y\\"\\n"}')]),
    ("chat", f"caf\u00e9 \U0001f40b\u2028{EOS}", "", "caf\u00e9 \U0001f40b\u2028", []),
]
BAD = [
    ("thinking", f"never ends{EOS}", "invalid_thinking_format"),
    ("thinking", f"call first{block(PING)}</think>{EOS}", "invalid_thinking_format"),
    ("chat", "no end", "invalid_summary_format"),
    ("chat", f"a{EOS}b", "content_at_end"),
    ("chat", f"a</think>b{EOS}", "special_token_in_content"),
    ("chat", f"{block(PING)}tail{EOS}", "content_after_tool_calls"),
    ("chat", f"\n\n<{DSML}function_calls>\n{PING}junk", "tool_call_format"),
    ("chat", f"\n\n<{DSML}function_calls>\n", "missing_special_token"),
    ("chat", block(PING.replace("\n\n", "")) + EOS, "tool_name_format"),
    ("chat", block(ADD.replace(' string="false"', "")) + EOS, "parameter_format"),
    ("chat", block(ADD.replace('"b"', '"a"')) + EOS, "duplicate_parameter"),
]


@pytest.mark.parametrize("mode,text,reasoning,content,calls", GOOD)
def test_whole_text(mode, text, reasoning, content, calls):
    message = parse_message_from_completion_text(text, mode)
    assert list(message) == ["role", "content", "reasoning_content", "tool_calls"]
    assert (message["reasoning_content"], message["content"]) == (reasoning, content)
    functions = [call["function"] for call in message["tool_calls"]]
    assert [(function["name"], function["arguments"]) for function in functions] == calls
    assert all(isinstance(json.loads(function["arguments"]), dict) for function in functions)


@pytest.mark.parametrize("mode,text,kind", BAD)
def test_malformed_text_has_a_kind(mode, text, kind):
    with pytest.raises(ParseError) as caught:
        parse_message_from_completion_text(text, mode)
    assert caught.value.kind == kind


def stream(mode, pieces):
    parser = StreamParser(mode)
    deltas = [delta for piece in pieces for delta in parser.push(piece)] + parser.finish()
    calls = [(delta.name, delta.arguments) for delta in deltas if delta.index is not None]
    return "".join(d.reasoning for d in deltas), "".join(d.content for d in deltas), calls


@pytest.mark.parametrize("mode,text,reasoning,content,calls", GOOD)
def test_every_cut_in_two_streams_the_same(mode, text, reasoning, content, calls):
    for cut in range(len(text) + 1):
        assert stream(mode, [text[:cut], text[cut:]]) == (reasoning, content, calls)
    assert stream(mode, text) == (reasoning, content, calls)


def test_a_marker_never_leaks_and_a_false_start_is_released():
    parser = StreamParser("chat")
    assert "".join(d.content for d in parser.push("2 <")) == "2 "
    shown = "".join(d.content for piece in ("\n\n<", DSML, "function") for d in parser.push(piece))
    assert DSML not in shown
    assert "".join(d.content for d in parser.push("x") + parser.finish()).endswith(f"<{DSML}functionx")


def test_a_call_that_never_ends_is_dropped_with_a_reason():
    text = f"c{block(ADD)}"
    parser = StreamParser("chat")
    deltas = parser.push(text[: text.index("</" + DSML + "invoke")]) + parser.finish()
    assert "".join(d.content for d in deltas) == "c"
    assert all(d.index is None for d in deltas)
    assert "ended inside a tool call" in parser.reason
