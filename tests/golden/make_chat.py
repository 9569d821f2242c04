"""Records `chat.json`: conversations and completions made here, and what the release's own code makes of them.

    python tests/golden/make_chat.py PATH/TO/encoding_dsv32.py

The argument is a copy of DeepSeek-V3.2's released encoding code, which is not part of this repository. Nothing of
Baleen is used, so the file is evidence from outside.
"""

import copy
import hashlib
import importlib.util
import json
import random
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

FRAGMENTS = [
    "a",
    "é🐋",
    "\n\n",
    "<",
    "</think>",
    "<｜User｜>",
    "｜DSML｜",
    "</result>",
    "0",
    "null",
    "\u2028",
    '"',
    "\\",
]  # noqa: E501
KINDS = {  # beginnings of the release's messages
    "Invalid thinking_mode": "invalid_thinking_mode",
    "Invalid message for role `developer`": "developer_empty_content",
    "Invalid messages at": "tool_result_without_assistant",
    "No tool calls but": "tool_result_without_tool_call",
    "ThinkingMode:": "assistant_without_reasoning_or_tool_calls",
    "Unknown role": "unknown_role",
    "Invalid thinking format": "invalid_thinking_format",
    "Invalid summary format": "invalid_summary_format",
    "Tool call format": "tool_call_format",
    "Missing special token": "missing_special_token",
    "Tool name format": "tool_name_format",
    "Parameter format": "parameter_format",
    "Duplicate parameter": "duplicate_parameter",
    "Unexpected content after": "content_after_tool_calls",
    "Unexpected content at end": "content_at_end",
    "Unexpected special token": "special_token_in_content",
}
D = "｜DSML｜"
EOS = "<｜end▁of▁sentence｜>"
CALL = (
    f'<{D}invoke name="f">\n<{D}parameter name="a" string="true">x "y"\n</{D}parameter>\n'
    f'<{D}parameter name="b" string="false">[1, {{}}]</{D}parameter>\n</{D}invoke>\n'
)
COMPLETION = f"why 🐋</think>so\n\n<{D}function_calls>\n{CALL}{CALL}</{D}function_calls>{EOS}"


class Maker:
    """Draws messages; nearly all of what the format knows comes up, mistakes included."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def text(self) -> str:
        return "".join(self.rng.choices(FRAGMENTS, k=self.rng.randrange(5)))

    def value(self, depth: int = 1) -> Any:
        simple = [self.text(), self.text(), 1, 1e5, 1e-07, 10**20, None, True]
        nested = [[self.text(), 2], {self.text(): self.value(depth - 1)}] if depth else []
        return self.rng.choice(simple + nested)

    def call(self) -> dict[str, Any]:
        arguments = json.dumps({self.text(): self.value() for _ in range(self.rng.randrange(4))})
        if self.chance(0.03):
            arguments = self.rng.choice(["", "{"])
        function = {"name": self.text(), "arguments": arguments}
        if self.chance(0.03):
            function.pop(self.rng.choice(list(function)))
        return {"type": "function", "id": "call_1", "function": function}

    def message(self, role: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": role, "content": self.text()}
        if self.chance(0.05):
            message["content"] = None
        if role == "assistant":
            message["reasoning_content"] = self.text() if self.chance(0.2) else "because"
            if self.chance(0.6):
                message["tool_calls"] = [self.call() for _ in range(self.rng.randrange(1, 4))]
        if self.chance(0.1):
            function = {"name": "f", "parameters": {"type": "object", "x": self.value()}}
            message["tools"] = [{"type": "function", "function": function}] * self.rng.randrange(3)
        if self.chance(0.1):
            message["response_format"] = {"type": "json_object"}
        return message

    def conversation(self, length: int) -> list[dict[str, Any]]:
        roles = ["system", "developer", *["user"] * 3, *["assistant"] * 4, *["tool"] * self.chance(0.1)]
        messages: list[dict[str, Any]] = []
        while len(messages) < length:
            role = "function" if self.chance(0.01) else self.rng.choice(roles)
            messages.append(self.message(role))
            for _ in messages[-1].get("tool_calls", ()):
                if self.chance(0.95):
                    messages.append(self.message("tool"))
        return messages

    def encoding(self) -> dict[str, Any]:
        return {
            "messages": self.conversation(self.rng.randrange(6)),
            "thinking_mode": "thinking" if self.chance(0.7) else self.rng.choice(["chat"] * 9 + ["deep"]),
            "context": self.conversation(self.rng.randrange(1, 3)) if self.chance(0.2) else None,
            "drop_thinking": self.chance(0.6),
            "add_default_bos_token": self.chance(0.9),
        }

    def completion(self) -> dict[str, Any]:
        text = COMPLETION.replace('"b"', '"a"') if self.chance(0.05) else COMPLETION
        text = text[self.rng.choice([0, 0, text.index("so")]) :]
        pieces = [D, EOS, "</think>", ">\n", "\n", '"', f"<{D}invoke", f"</{D}function_calls>", "x"]
        for _ in range(self.rng.choice([0, 0, 1, 2])):
            start = self.rng.randrange(len(text) + 1)
            piece = self.rng.choice(pieces) if self.chance(0.6) else ""
            text = text[:start] + piece + text[start + self.rng.choice([0, 1, 2, 20]) :]
        if self.chance(0.3):
            text = text[: self.rng.randrange(len(text) + 1)]
        return {"completion": text, "thinking_mode": self.rng.choice(["thinking", "thinking", "chat"])}


def outcome(function: Any, case: dict[str, Any]) -> dict[str, Any]:
    """`case` with what the release makes of it: `expected`, or the neutral `kind` of its error."""
    case = copy.deepcopy(case)
    try:
        return case | {"expected": function(**copy.deepcopy(case))}
    except json.JSONDecodeError:
        return case | {"kind": "tool_call_arguments_not_json"}
    except KeyError as error:
        return case | {"kind": f"missing_field:{error.args[0]}"}
    except (AssertionError, NotImplementedError) as error:
        message = str(error)
        known = [kind for start, kind in KINDS.items() if message.startswith(start)]
        # The only message of the release that is empty: an index beyond the filtered list.
        return case | {"kind": known[0] if known else "message_index_out_of_range"}


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location("released_encoding", path)
    assert spec and spec.loader, f"{path} is no Python file"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    released = load(sys.argv[1])
    maker = Maker(seed=32)
    encode = [
        outcome(
            lambda messages, thinking_mode, context, drop_thinking, add_default_bos_token: (
                released.encode_messages(
                    messages, thinking_mode, context, drop_thinking, add_default_bos_token
                )
            ),
            maker.encoding(),
        )
        for _ in range(100)
    ]
    parse = [
        outcome(
            lambda completion, thinking_mode: released.parse_message_from_completion_text(
                completion, thinking_mode
            ),
            maker.completion(),
        )
        for _ in range(100)
    ]
    record = {
        "released_code_sha256": hashlib.sha256(Path(sys.argv[1]).read_bytes()).hexdigest(),
        "encode": encode,
        "parse": parse,
    }
    file = Path(__file__).with_name("chat.json")
    file.write_text(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
