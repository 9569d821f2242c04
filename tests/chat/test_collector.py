"""Token ids to an assistant message, in steps of any size."""

import json

import pytest

from baleen.chat import MessageCollector, Tokenizer, encode_pieces, train_tokenizer
from baleen.chat.collector import FinishReason
from baleen.chat.preamble import split_controls

EOS = "<｜end▁of▁sentence｜>"
BLOCK = (
    "\n\n<｜DSML｜function_calls>\n{}</｜DSML｜function_calls>",
    '<｜DSML｜invoke name="calculate">\n'
    '<｜DSML｜parameter name="expression" string="true">{}</｜DSML｜parameter>\n</｜DSML｜invoke>\n',
)


def calls(*expressions: str) -> str:
    return BLOCK[0].format("".join(BLOCK[1].format(e) for e in expressions))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    return train_tokenizer(["Compute 47*83+256. calculate expression"] * 9, 350, tmp_path_factory.mktemp("t"))


def collect(
    tokenizer: Tokenizer, text: str, size: int = 1000, stop: tuple[str, ...] = (), tools_offered: bool = True
) -> MessageCollector:
    """Push `text` in steps of `size` tokens, until a stop string is met; check that the deltas join to the message."""
    ids = tokenizer.encode_pieces(split_controls(text))
    collector = MessageCollector(tokenizer, "thinking", tools_offered, stop)
    deltas = []
    for start in range(0, len(ids), size):
        is_last = start + size >= len(ids)
        reason = ("stop" if text.endswith(EOS) else "length") if is_last else None
        deltas.append(collector.push(ids[start : start + size], reason))
        if collector.finish_reason is not None:
            break
    assert "".join(delta.reasoning for delta in deltas) == collector.reasoning
    assert "".join(delta.content for delta in deltas) == collector.content
    first_call = next((i for i, delta in enumerate(deltas) if delta.calls), len(deltas))
    assert not any(delta.content for delta in deltas[first_call + 1 :]), "content stands before the calls"
    assert [delta.finish_reason for delta in deltas if delta.finish_reason] == [collector.finish_reason]
    arguments = [""] * len(collector.calls)
    for delta in deltas:
        for call in delta.calls:
            arguments[call.index] += call.arguments
    assert arguments == [call.arguments for call in collector.calls]
    return collector


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_the_size_of_the_steps_does_not_matter(tokenizer: Tokenizer, size: int) -> None:
    done = collect(tokenizer, "🐋 2 < 3</think>It is é" + calls("1+1", "2*2") + EOS, size)
    assert (done.reasoning, done.content, done.finish_reason) == ("🐋 2 < 3", "It is é", "tool_calls")
    assert [(c.name, json.loads(c.arguments)["expression"]) for c in done.calls] == [
        ("calculate", "1+1"),
        ("calculate", "2*2"),
    ]
    assert done.reasoning_tokens == len(tokenizer.encode_text("🐋 2 < 3"))
    assert done.completion_tokens > done.reasoning_tokens + 2


def test_the_message_encodes_to_the_completion(tokenizer: Tokenizer) -> None:
    text = "think</think>Well." + calls("47*83") + EOS
    message = collect(tokenizer, text, 3).message()
    question = {"role": "user", "content": "q"}
    assert "".join(encode_pieces([message], "thinking", [question], drop_thinking=False)) == text


@pytest.mark.parametrize(
    ("text", "reason", "error"),
    [
        ("thought only", "length", None),
        ("</think>Well." + calls("1")[:-60], "length", None),
        ("</think>Well." + calls("1").replace(' string="true"', "") + EOS, "stop", "parameter_format: "),
        ("</think>a<think>b" + EOS, "stop", "special_token_in_content: "),
        ("thought" + EOS, "stop", "invalid_thinking_format: "),
    ],
)
def test_a_message_that_broke_off_has_no_calls(
    tokenizer: Tokenizer, text: str, reason: FinishReason, error: str | None
) -> None:
    done = collect(tokenizer, text, 2)
    assert done.finish_reason == reason
    assert "tool_calls" not in done.message()
    assert (done.parse_error or "").startswith(error or "") and (done.parse_error is None) == (error is None)


def test_a_call_cut_after_its_last_parameter_is_not_complete(tokenizer: Tokenizer) -> None:
    text = "</think>" + calls("1")
    (call,) = collect(tokenizer, text[: text.index("</｜DSML｜invoke>")]).calls
    assert call.arguments == '{"expression": "1"' and not call.is_complete


def test_calls_are_dropped_without_tools(tokenizer: Tokenizer) -> None:
    done = collect(tokenizer, "</think>Well." + calls("1") + EOS, tools_offered=False)
    assert (done.content, done.calls, done.finish_reason) == ("Well.", [], "stop")


@pytest.mark.parametrize("size", [1, 1000])
def test_a_stop_string_ends_the_content_and_only_the_content(tokenizer: Tokenizer, size: int) -> None:
    done = collect(tokenizer, "END</think>one ENDtwo" + calls("1") + EOS, size, ("END",))
    assert (done.reasoning, done.content, done.calls, done.finish_reason) == ("END", "one ", [], "stop")


@pytest.mark.parametrize("size", [1, 1000])
def test_the_start_of_a_stop_string_before_a_call_is_content(tokenizer: Tokenizer, size: int) -> None:
    done = collect(tokenizer, "</think>one EN" + calls("1") + EOS, size, ("END",))
    assert (done.content, done.finish_reason) == ("one EN", "tool_calls")


def test_an_abort_is_not_an_answer(tokenizer: Tokenizer) -> None:
    with pytest.raises(RuntimeError, match="'abort'"):
        MessageCollector(tokenizer, "chat", False).push([5], "abort")
