"""The strings of the DeepSeek-V3.2 chat format that are single tokens, and those built from them.

The bar is U+FF5C FULLWIDTH VERTICAL LINE, the low line is U+2581.
"""


class Control(str):
    """A string that stands for one control token. Joining or slicing one gives a plain `str`: text."""

    __slots__ = ()


BOS = Control("<｜begin▁of▁sentence｜>")
EOS = Control("<｜end▁of▁sentence｜>")
PAD = Control("<｜▁pad▁｜>")
USER = Control("<｜User｜>")
ASSISTANT = Control("<｜Assistant｜>")
THINK_START = Control("<think>")
THINK_END = Control("</think>")
DSML = Control("｜DSML｜")

CONTROLS: tuple[Control, ...] = (BOS, EOS, PAD, USER, ASSISTANT, THINK_START, THINK_END, DSML)

# What a completion's markers look like as text; only the DSML part of each is one token.
CALLS_START = f"\n\n<{DSML}function_calls"
CALLS_END = f"</{DSML}function_calls>"
INVOKE_START = f"<{DSML}invoke"
INVOKE_END = f"</{DSML}invoke"
PARAMETER_START = f"<{DSML}parameter"
PARAMETER_END = f"/{DSML}parameter"  # without its `<`, which the format lets a newline follow
