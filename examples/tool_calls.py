"""A conversation with a tool, written and read in the official encoding; no model is involved.

python examples/tool_calls.py
"""

import baleen

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def main() -> None:
    messages = [
        {"role": "system", "content": "", "tools": [TOOL]},
        {"role": "user", "content": "Do I need an umbrella in Bergen?"},
    ]
    prompt = baleen.encode_messages(messages, "thinking")
    print(prompt)
    completion = (
        "Look it up.</think>\n\n"
        '<｜DSML｜function_calls>\n<｜DSML｜invoke name="weather">\n'
        '<｜DSML｜parameter name="city" string="true">Bergen</｜DSML｜parameter>\n'
        "</｜DSML｜invoke>\n</｜DSML｜function_calls><｜end▁of▁sentence｜>"
    )
    answer = baleen.parse_message_from_completion_text(completion, "thinking")
    print(answer["reasoning_content"], answer["tool_calls"])
    # thinking is kept across tool calls; a new user message leaves it out
    messages += [answer, {"role": "tool", "content": "rain"}]
    assert "Look it up." in baleen.encode_messages(messages, "thinking")
    messages += [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And tomorrow?"}]
    assert "Look it up." not in baleen.encode_messages(messages, "thinking")


if __name__ == "__main__":
    main()
