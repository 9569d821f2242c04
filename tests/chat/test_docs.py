"""docs/chat.md shows what the code renders."""

import re
from pathlib import Path

from baleen.chat import encode_messages

PAGE = Path(__file__).parents[2] / "docs" / "chat.md"
TOOL = {"type": "function", "function": {"name": "calculate", "parameters": {}}}
CALL = {
    "role": "assistant",
    "reasoning_content": "I should compute it.",
    "tool_calls": [{"function": {"name": "calculate", "arguments": '{"expression": "47*83"}'}}],
}
CHAIN = [
    {"role": "system", "content": "Be brief.", "tools": [TOOL]},
    {"role": "user", "content": "What is 47*83?"},
    CALL,
    {"role": "tool", "content": "3901"},
    {"role": "assistant", "reasoning_content": "That is it.", "content": "3901."},
]


def test_each_piece_is_what_its_message_adds():
    blocks = re.findall(r"```text\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    pieces = [block.replace("⏎\n", "\n").removesuffix("⏎") for block in blocks]
    assert len(pieces) == 6
    for n, piece in enumerate(pieces[:5]):
        added = encode_messages(CHAIN[n : n + 1], "thinking", context=CHAIN[:n])
        assert added.startswith(piece) if n == 0 else added == piece, n
    longer = encode_messages([*CHAIN, {"role": "user", "content": "And 5 more?"}], "thinking")
    assert longer.endswith("</functions>\n" + pieces[5])
