"""The fixed instructions around tools and response formats, as the released encoding has them."""

from baleen.chat.tokens import CONTROLS, Control

# Newlines count: seven empty lines, and one newline after the last tag. `{name}` marks are filled below.
_TOOLS = """## Tools

You have access to a set of tools you can use to answer the user's question.
You can invoke functions by writing a "<｜DSML｜function_calls>" block like the following as part of your reply to the user:
<｜DSML｜function_calls>
<｜DSML｜invoke name="$FUNCTION_NAME">
<｜DSML｜parameter name="$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE</｜DSML｜parameter>
...
</｜DSML｜invoke>
<｜DSML｜invoke name="$FUNCTION_NAME2">
...
</｜DSML｜invoke>
</｜DSML｜function_calls>

String and scalar parameters should be specified as is without any escaping or quotes, while lists and objects should use JSON format. The "string" attribute should be set to "true" for string type parameters and "false" for other types (numbers, booleans, arrays, objects).

If the thinking_mode is enabled, then after function results you should strongly consider outputting a thinking block. Here is an example:

<｜DSML｜function_calls>
...
</｜DSML｜function_calls>

<function_results>
...
</function_results>

<think>...thinking about results</think>

Here are the functions available in JSONSchema format:
<functions>
"""  # noqa: E501
_TOOLS_END = "\n</functions>\n"


def split_controls(text: str) -> list[str]:
    """Cut our own text at every control token, marking these `Control`. Not for what a user wrote."""
    pieces: list[str] = []
    while text:
        found = [(at, control) for control in CONTROLS if (at := text.find(control)) >= 0]
        if not found:
            return [*pieces, text]
        at, control = min(found, key=lambda item: item[0])
        if at:
            pieces.append(text[:at])
        pieces.append(Control(control))
        text = text[at + len(control) :]
    return pieces


_TOOLS_PIECES = tuple(split_controls(_TOOLS))


def tools_preamble(schemas: str) -> list[str]:
    """Pieces of the tool instructions; `schemas` holds one JSON function schema a line, as plain text."""
    return [*_TOOLS_PIECES, schemas, _TOOLS_END]


def response_format_text(schema: str) -> str:
    """The response-format instructions for a schema already written as JSON."""
    return f"## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n{schema}"
