"""The prompt format on small conversations written by hand, and the retention rule."""

from baleen.chat import encode_messages, encode_pieces
from baleen.chat.tokens import THINK_END, THINK_START

TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}},
}


def user(text: str) -> dict:
    return {"role": "user", "content": text}


def call(thought: str) -> dict:
    function = {"name": "f", "arguments": '{"x": "1"}'}
    return {
        "role": "assistant",
        "reasoning_content": thought,
        "tool_calls": [{"type": "function", "function": function}],
    }


def test_a_question_in_both_modes():
    messages = [{"role": "system", "content": "S"}, user("Q")]
    start = "<｜begin▁of▁sentence｜>S<｜User｜>Q<｜Assistant｜>"
    assert encode_messages(messages, "thinking") == start + "<think>"
    assert encode_messages(messages, "chat") == start + "</think>"


def test_a_new_question_drops_the_thinking_before_it():
    answer = {"role": "assistant", "reasoning_content": "T", "content": "A"}
    text = encode_messages([user("Q"), answer, user("R")], "thinking")
    assert text == (
        "<｜begin▁of▁sentence｜><｜User｜>Q<｜Assistant｜></think>A<｜end▁of▁sentence｜>"
        "<｜User｜>R<｜Assistant｜><think>"
    )


def test_thinking_is_kept_over_a_chain_of_calls_and_reset_by_a_question():
    chain = [
        user("Q"),
        call("T1"),
        {"role": "tool", "content": "R1"},
        call("T2"),
        {"role": "tool", "content": "R2"},
    ]
    kept = encode_messages(chain, "thinking")
    assert "T1</think>" in kept and "T2</think>" in kept and kept.endswith("<think>")
    reset = encode_messages([*chain, {"role": "assistant", "content": "A"}, user("R")], "thinking")
    assert "T1" not in reset and "T2" not in reset
    assert all(text in reset for text in ("R1", "R2", '<｜DSML｜invoke name="f">'))  # calls and results stay


def test_the_prompt_of_a_chain_only_grows():
    chain = [user("Q"), call("T1"), {"role": "tool", "content": "R1"}]
    longer = [*chain, call("T2"), {"role": "tool", "content": "R2"}]
    assert encode_messages(longer, "thinking").startswith(encode_messages(chain, "thinking"))


def test_pieces_join_to_the_text():
    messages = [
        {"role": "system", "content": "S", "tools": [TOOL]},
        user("Q"),
        call("T"),
        {"role": "tool", "content": "R"},
    ]
    for mode in ("thinking", "chat"):
        assert "".join(encode_pieces(messages, mode)) == encode_messages(messages, mode)
    assert str(THINK_START) in encode_messages(messages, "thinking") and str(THINK_END) in encode_messages(
        messages, "chat"
    )
