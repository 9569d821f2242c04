"""The parser against its plain twin, on golden texts and on damaged ones, whole and however they are cut."""

import codecs
import json
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baleen.chat import Delta, ParseError, StreamParser, TextStream, parse_message_from_completion_text
from baleen.chat.tokens import (
    BOS,
    CALLS_END,
    CALLS_START,
    CONTROLS,
    DSML,
    EOS,
    INVOKE_END,
    INVOKE_START,
    PARAMETER_END,
    PARAMETER_START,
    THINK_END,
    THINK_START,
)
from tests.chat.vectors import completions
from tests.chat.whole_text_parser import parse_whole_text

PING = f'<{DSML}invoke name="ping">\n\n</{DSML}invoke>\n'
ADD = (
    f'<{DSML}invoke name="add">\n<{DSML}parameter name="a" string="false">1</{DSML}parameter>\n'
    f'<{DSML}parameter name="b" string="true">x "y"\n<</{DSML}parameter>\n</{DSML}invoke>\n'
)


def block(*calls: str) -> str:
    return f"\n\n<{DSML}function_calls>\n{''.join(calls)}</{DSML}function_calls>"


WHOLE = f"why\n🐋</think>so{block(ADD, PING)}{EOS}"
FRAGMENTS = [
    *(CALLS_START, CALLS_END, INVOKE_START, INVOKE_END, PARAMETER_START, "<" + PARAMETER_END, PARAMETER_END),
    *(THINK_START, THINK_END, BOS, EOS, DSML, ">\n", "\n", "\n\n", "<", "</", "/", '"', "{", "x", "🐋"),
    *(' name="', ' name="f">\n', ' name="a" string="true">', ' name="b" string="false">'),
]


def damaged(rng: random.Random) -> str:
    """A completion with a few faults, or rubbish made of the format's own pieces."""
    if rng.random() < 0.3:
        return "".join(rng.choices(FRAGMENTS, k=rng.randrange(1, 30)))
    text = WHOLE.replace('"b"', '"a"') if rng.random() < 0.1 else WHOLE
    for _ in range(rng.randrange(3)):
        start = rng.randrange(len(text) + 1)
        end = start + rng.choice([0, 1, 2, 5, 20])
        text = text[:start] + (rng.choice(FRAGMENTS) if rng.random() < 0.6 else "") + text[end:]
    return text[: rng.randrange(len(text) + 1)] if rng.random() < 0.2 else text


def outcome(parse, text: str, mode: str):
    try:
        return parse(text, mode)
    except ParseError as error:
        return error.kind


def stream(pieces, mode: str, truncated: bool = False):
    """(reasoning, content, calls by index as [name, arguments, complete], kind of the error)."""
    parser = StreamParser(mode)
    deltas = [delta for piece in pieces for delta in parser.push(piece)] + parser.finish(truncated)
    return *joined(deltas), parser.error and parser.error.kind


def joined(deltas: list[Delta]):
    calls: list[list] = []
    for delta in deltas:
        if delta.name is not None:
            assert delta.index == len(calls)
            calls.append([delta.name, "", False])
        if delta.index is not None:
            assert delta.index == len(calls) - 1 and not calls[-1][2]
            calls[-1][1] += delta.arguments
            calls[-1][2] = delta.closes_call
    return "".join(d.reasoning for d in deltas), "".join(d.content for d in deltas), calls


@pytest.mark.parametrize("text,mode", completions())
def test_golden_completions(text, mode):
    assert outcome(parse_message_from_completion_text, text, mode) == outcome(parse_whole_text, text, mode)


def test_damaged_completions_are_read_as_by_the_twin_and_however_cut():
    rng = random.Random(20251201)
    outcomes = set()
    for _ in range(4000):
        text, mode = damaged(rng), rng.choice(["thinking", "chat"])
        expected = outcome(parse_whole_text, text, mode)
        assert outcome(parse_message_from_completion_text, text, mode) == expected, text
        whole = stream([text], mode)
        cuts = sorted({0, len(text), *(rng.randrange(len(text) + 1) for _ in range(rng.randrange(20)))})
        assert stream([text[a:b] for a, b in pairwise(cuts)], mode) == whole, text
        assert stream(text, mode) == whole, text
        outcomes.add(expected if isinstance(expected, str) else "read")
        if isinstance(expected, dict):
            assert whole[:2] == (expected["reasoning_content"], expected["content"])
            assert [
                [c["function"]["name"], c["function"]["arguments"], True] for c in expected["tool_calls"]
            ] == (whole[2])
    assert len(outcomes) == 11  # every kind of error, and none


@pytest.mark.parametrize("text,mode", completions(longest=300))
def test_every_cut_in_two_and_in_three_of_the_golden_completions(text, mode):
    whole = stream([text], mode)
    for first in range(len(text) + 1):
        assert stream([text[:first], text[first:]], mode) == whole
        for second in range(first, len(text) + 1):
            assert stream([text[:first], text[first:second], text[second:]], mode) == whole


@pytest.mark.parametrize("text,mode", completions())
def test_token_ids_cut_inside_characters_stream_the_same(text, mode, tokenizer):
    """One byte an id, so that every character of more than one byte is cut."""
    byte_ids = {tokenizer.token_bytes(i): i for i in range(tokenizer.vocab_size)}
    ids = [byte_ids[bytes([byte])] for byte in text.encode()]
    whole = stream([text], mode)
    for size in (1, 2, 5):
        decoder = TextStream(tokenizer)
        pieces = [decoder.push(ids[at : at + size]) for at in range(0, len(ids), size)]
        assert stream([*pieces, decoder.finish()], mode) == whole


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(max_size=12) | st.sampled_from([f.encode() for f in FRAGMENTS]), max_size=40))
def test_random_bytes_give_a_message_or_the_documented_error(chunks):
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces = [*(decoder.decode(chunk) for chunk in chunks), decoder.decode(b"", final=True)]
    for mode in ("thinking", "chat"):
        text = "".join(pieces)
        result = outcome(parse_message_from_completion_text, text, mode)
        assert result == outcome(parse_whole_text, text, mode)
        assert stream(pieces, mode) == stream([text], mode)


def test_no_piece_holds_half_a_marker_and_false_starts_are_released():
    parser = StreamParser("chat")
    assert joined(parser.push("2 <"))[1] == "2 "
    assert joined(parser.push(" 3, <｜"))[1] == "< 3, "
    assert joined(parser.push("x"))[1] == "<｜x"
    for size in (1, 2, 3):
        parser = StreamParser("thinking")
        for at in range(0, len(WHOLE), size):
            for delta in parser.push(WHOLE[at : at + size]):
                shown = delta.reasoning + delta.content
                assert not any(control in shown for control in CONTROLS)
                assert "｜" not in shown and not shown.endswith("<")


def test_strings_stream_as_they_come_and_escaped():
    parser = StreamParser("chat")
    parser.push(
        f'\n\n<{DSML}function_calls>\n<{DSML}invoke name="f">\n<{DSML}parameter name="k" string="true">'
    )
    pieces = [joined_arguments(parser.push(piece)) for piece in ('a "', "\n", "🐋", "\\", "<")]
    assert pieces == ['a \\"', "\\n", "🐋", "\\\\", ""]
    rest = parser.push(f"b</{DSML}parameter>\n</{DSML}invoke>\n") + parser.finish()
    assert joined_arguments(rest) == '<b"}'


def joined_arguments(deltas: list[Delta]) -> str:
    return "".join(delta.arguments for delta in deltas)


CALL = f'\n\n<{DSML}function_calls>\n<{DSML}invoke name="f">\n<{DSML}parameter name="k" string="true">val'
OPEN = [["f", '{"k": "val', False]]


@pytest.mark.parametrize(
    "mode,text,expected",
    [
        # cut for its length, in every part
        ("thinking", "I th", ("I th", "", [], "invalid_thinking_format")),
        ("thinking", "I th</thi", ("I th</thi", "", [], "invalid_thinking_format")),
        ("chat", "Well", ("", "Well", [], "invalid_summary_format")),
        ("chat", f"Well\n\n<{DSML}func", ("", "Well", [], "invalid_summary_format")),
        ("chat", "Well" + CALL, ("", "Well", OPEN, "parameter_format")),
        ("chat", CALL + "</", ("", "", [["f", '{"k": "val</', False]], "parameter_format")),
        (
            "chat",
            CALL + f"</{DSML}parameter>\n",
            ("", "", [["f", '{"k": "val"', False]], "missing_special_token"),
        ),
        ("chat", f"\n\n<{DSML}function_calls>\n<{DSML}invoke na", ("", "", [], "tool_name_format")),
        # malformed calls: what came before stands, the rest is dropped
        (
            "chat",
            "a" + block(PING, '{"x": 1}', PING) + EOS,
            ("", "a", [["ping", "{}", True]], "tool_call_format"),
        ),
        (
            "chat",
            block(ADD.replace(' string="true"', "")) + EOS,
            ("", "", [["add", '{"a": 1', False]], "parameter_format"),
        ),
        ("chat", block(PING) + "bye" + EOS, ("", "", [["ping", "{}", True]], "content_after_tool_calls")),
        ("chat", f"a{EOS}b", ("", "a", [], "content_at_end")),
        # markers where they do not belong
        ("thinking", f"a{THINK_START}b{EOS}c</think>d{EOS}", ("abc", "d", [], "special_token_in_content")),
        ("chat", f"a</think>b{EOS}", ("", "ab", [], "special_token_in_content")),
        (
            "chat",
            f"a\n<{DSML}function_calls>{EOS}",
            ("", "a\n<function_calls>", [], "special_token_in_content"),
        ),
        ("thinking", f"a{block(PING)}{EOS}", ("a", "", [["ping", "{}", True]], "invalid_thinking_format")),
    ],
)
def test_what_a_stream_makes_of_a_faulty_completion(mode, text, expected):
    assert stream([text], mode, truncated=True) == expected
    assert stream(text, mode, truncated=True) == expected


def test_a_block_that_just_stops_is_complete_only_where_the_release_says_so():
    text = CALL + f"</{DSML}parameter>\n"
    assert stream([text], "chat") == ("", "", [["f", '{"k": "val"}', True]], None)
    assert stream([text], "chat", truncated=True)[2:] == (
        [["f", '{"k": "val"', False]],
        "missing_special_token",
    )


def test_the_error_of_the_strict_parser_says_where():
    with pytest.raises(ParseError) as caught:
        parse_message_from_completion_text(f"a</think>b{EOS}", "chat")
    assert (caught.value.kind, caught.value.position) == ("special_token_in_content", len("a</think>"))
    message = parse_message_from_completion_text(WHOLE, "thinking")
    assert list(message) == ["role", "content", "reasoning_content", "tool_calls"]
    assert json.loads(message["tool_calls"][0]["function"]["arguments"]) == {"a": 1, "b": 'x "y"\n<'}
