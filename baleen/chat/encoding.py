"""Messages to prompt text, byte for byte as DeepSeek-V3.2 was trained on (its released `encoding` folder).

`encode_pieces` is the one renderer: it yields control tokens (`Control`) and plain text apart, so that a
tokenizer can give text that merely looks like a control token its ordinary ids. `encode_messages` joins them.

Thinking is kept while only tool messages follow and left out once a new user message arrives (DeepSeek-V3.2
report, "Thinking in Tool-Use"). Time is linear in the number of messages.
"""

from collections.abc import Sequence
from typing import Any

from baleen.chat.errors import EncodingError
from baleen.chat.fields import Call, Field, Message, read_arguments, read_calls, read_functions
from baleen.chat.preamble import response_format_text, tools_preamble
from baleen.chat.tokens import ASSISTANT, BOS, DSML, EOS, THINK_END, THINK_START, USER

_TURN_ROLES = ("user", "developer")
_SURVIVING_ROLES = ("user", "system", "tool", "assistant")


def encode_messages(
    messages: Sequence[Message],
    thinking_mode: str,
    context: Sequence[Message] | None = None,
    drop_thinking: bool = True,
    add_default_bos_token: bool = True,
) -> str:
    """The prompt as one string. Arguments and errors are those of `encode_pieces`.

    For token ids use `Tokenizer.encode_pieces(encode_pieces(...))`: tokenising this string would let a user
    forge control tokens.
    """
    return "".join(encode_pieces(messages, thinking_mode, context, drop_thinking, add_default_bos_token))


def encode_pieces(
    messages: Sequence[Message],
    thinking_mode: str,
    context: Sequence[Message] | None = None,
    drop_thinking: bool = True,
    add_default_bos_token: bool = True,
) -> list[str]:
    """Render `messages` as control tokens (`Control`) and plain text (`str`), in order.

    messages: OpenAI form; `tools` and `response_format` are fields of a system or developer message.
    thinking_mode: "chat" or "thinking".
    context: messages rendered earlier; they are looked at, not rendered, and suppress the BOS token.
    drop_thinking: never changes the text. As in the release, leaving it on in thinking mode makes a developer
        message before the last user message an error (`message_index_out_of_range`).

    Raises EncodingError.
    """
    earlier = list(context or ())
    conversation = earlier + list(messages)
    start, end = len(earlier), len(conversation)
    for index, message in enumerate(conversation):
        if not isinstance(message, dict):
            raise EncodingError("message_not_object", index - start, "", f"is a {type(message).__name__}")
    if thinking_mode == "thinking" and drop_thinking:
        conversation = _without_dropped_roles(conversation)
    renderer = _Renderer(conversation, thinking_mode, start)
    if add_default_bos_token and not earlier:
        renderer.pieces.append(BOS)
    for index in range(start, end):
        renderer.render(index)
    return renderer.pieces


def last_turn_index(messages: Sequence[Message]) -> int:
    """Index of the last user or developer message, -1 if there is none: reasoning after it is kept."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].get("role") in _TURN_ROLES:
            return index
    return -1


def _without_dropped_roles(messages: list[Message]) -> list[Message]:
    """The release filters roles here although indices still count the unfiltered list; text depends on it."""
    last_turn = last_turn_index(messages)
    return [m for i, m in enumerate(messages) if i >= last_turn or m.get("role") in _SURVIVING_ROLES]


class _Renderer:
    """Renders messages of one conversation in rising order, keeping what look-backs need."""

    def __init__(self, conversation: list[Message], thinking_mode: str, start: int) -> None:
        self.pieces: list[str] = []
        self._conversation = conversation
        self._thinking_mode = thinking_mode
        self._start = start
        self._last_turn = last_turn_index(conversation)
        self._owner = -1  # nearest message before the current one that is not a tool result
        for index in range(min(start, len(conversation)) - 1, -1, -1):
            if conversation[index].get("role") != "tool":
                self._owner = index
                break

    def render(self, index: int) -> None:
        if index >= len(self._conversation):
            raise self._at(index, "role").error(
                "message_index_out_of_range",
                "a developer or unknown role stands before the last user message; "
                "pass drop_thinking=False, which renders the same text without this check",
            )
        if self._thinking_mode not in ("chat", "thinking"):
            raise self._at(index, "role").error(
                "invalid_thinking_mode",
                f"thinking_mode is {self._thinking_mode!r}; it must be 'chat' or 'thinking'",
            )
        message = self._conversation[index]
        role = message.get("role")
        # Both lists are read on every role, so a malformed one is an error even where it would not be shown.
        functions = read_functions(message, self._at(index))
        calls = read_calls(message, self._at(index))
        if role == "system":
            self._text(str(message.get("content") or ""))
            self._tools_and_format(message, functions, index)
        elif role == "developer":
            self._developer(message, functions, index)
        elif role == "user":
            self.pieces.append(USER)
            self._text(str(message.get("content")))
            self._open_assistant(index)
        elif role == "assistant":
            self._assistant(message, calls, index)
        elif role == "tool":
            self._tool(message, index)
        else:
            raise self._at(index, "role").error("unknown_role", f"unknown role {role!r}")
        if role != "tool":
            self._owner = index

    def _text(self, text: str) -> None:
        if text:
            self.pieces.append(text)

    def _at(self, index: int, name: str = "") -> Field:
        return Field(index - self._start, name)

    def _open_assistant(self, index: int) -> None:
        self.pieces.append(ASSISTANT)
        self.pieces.append(THINK_START if self._thinks(index == self._last_turn) else THINK_END)

    def _thinks(self, in_last_turn: bool) -> bool:
        return in_last_turn and self._thinking_mode == "thinking"

    def _developer(self, message: Message, functions: list[Any], index: int) -> None:
        content = message.get("content")
        if not content:
            raise self._at(index, "content").error(
                "developer_empty_content", "a developer message needs content"
            )
        self.pieces.append(USER)
        self._tools_and_format(message, functions, index)
        self._text(f"\n\n# The user's message is: {content}")
        self._open_assistant(index)

    def _tools_and_format(self, message: Message, functions: list[Any], index: int) -> None:
        if functions:
            self._text("\n\n")
            self.pieces.extend(tools_preamble("\n".join(self._at(index, "tools").json(f) for f in functions)))
        if response_format := message.get("response_format"):
            self._text(
                "\n\n" + response_format_text(self._at(index, "response_format").json(response_format))
            )

    def _assistant(self, message: Message, calls: list[Call], index: int) -> None:
        # Arguments are read first: their errors come before the one about missing reasoning.
        parsed = [(call.name, read_arguments(call)) for call in calls]
        if self._thinks(index > self._last_turn):
            reasoning = message.get("reasoning_content")
            if not reasoning and not calls:
                raise self._at(index, "reasoning_content").error(
                    "assistant_without_reasoning_or_tool_calls",
                    "after the last user message thinking mode wants reasoning_content or tool_calls",
                )
            self._text(str(reasoning or ""))
            self.pieces.append(THINK_END)
        self._text(str(message.get("content") or ""))
        if parsed:
            self._calls_block(parsed, index)
        self.pieces.append(EOS)

    def _calls_block(self, calls: list[tuple[Any, dict[str, Any]]], index: int) -> None:
        add = self.pieces.extend
        add(("\n\n<", DSML, "function_calls>\n"))
        for name, arguments in calls:
            add(("<", DSML, f'invoke name="{name}">\n'))
            for i, (key, value) in enumerate(arguments.items()):
                is_text = isinstance(value, str)
                text = value if is_text else self._at(index, "tool_calls").json(value)
                opening = f'parameter name="{key}" string="{"true" if is_text else "false"}">'
                add(("\n<" if i else "<", DSML, opening, text, "</", DSML, "parameter>"))
            # With no parameters the area between the tags is an empty line.
            add(("\n</", DSML, "invoke>\n"))
        add(("</", DSML, "function_calls>"))

    def _tool(self, message: Message, index: int) -> None:
        owner = self._owner
        # A tool message at position 0 looks at the last message, whatever its role: the release's index -1.
        if index > 0 and (owner < 0 or self._conversation[owner].get("role") != "assistant"):
            raise self._at(index, "role").error(
                "tool_result_without_assistant", "no assistant message before this tool result"
            )
        calls = self._conversation[owner].get("tool_calls")
        order = index - owner
        if not isinstance(calls, Sequence) or len(calls) < order:
            raise self._at(index, "role").error(
                "tool_result_without_tool_call",
                f"result {order} of an assistant message with {len(calls) if calls else 0} tool calls",
            )
        opening = "\n\n<function_results>" if order == 1 else ""
        closing = "\n</function_results>\n\n" if order == len(calls) else ""
        self._text(f"{opening}\n<result>{message.get('content')}</result>{closing}")
        if closing:
            self.pieces.append(THINK_START if self._thinks(index >= self._last_turn) else THINK_END)
