"""A chat without a terminal: what it keeps of odd answers, its commands, its costs, how its lines break."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from baleen.agent.conversation import Conversation
from baleen.chat import Tokenizer, train_tokenizer
from baleen.cli import loading
from baleen.cli.chat import dollars, main
from baleen.cli.chat_screen import PlainScreen
from baleen.cli.chat_session import ChatSession, builtin_world
from baleen.cli.chat_wrap import WordWrap
from baleen.cli.loading import LoadedModel
from baleen.config.engine import SamplingParams
from baleen.environments.toy.world import SYSTEM_MESSAGE
from tests.cli.scripted_chat import ScriptedSteps

EOS = "<｜end▁of▁sentence｜>"
ANSWER = f"= 13</think>13{EOS}"


def call(value: str, is_string: bool = True) -> str:
    """A completion that asks the calculator."""
    return (
        "</think>\n\n<｜DSML｜function_calls>\n"
        '<｜DSML｜invoke name="calculate">\n'
        f'<｜DSML｜parameter name="expression" string="{str(is_string).lower()}">{value}</｜DSML｜parameter>\n'
        f"</｜DSML｜invoke>\n</｜DSML｜function_calls>{EOS}"
    )


def chat(tokenizer: Tokenizer, *completions: str, max_tokens: int = 1024, max_model_len: int = 8192):
    engine = ScriptedSteps(tokenizer, list(completions))
    params = SamplingParams(max_tokens=max_tokens)
    return ChatSession(
        engine,  # type: ignore[arg-type]
        tokenizer,
        builtin_world("chat"),
        max_model_len,
        params,
        thinking=True,
        tools=True,
    ), engine


@pytest.fixture
def screen() -> PlainScreen:
    return PlainScreen(io.StringIO(), io.StringIO())


def told(screen: PlainScreen) -> str:
    return screen._aside.getvalue()  # type: ignore[attr-defined]


def contents(session: ChatSession) -> list[str]:
    return [message["content"] for message in session.messages]


def test_calls_and_their_results_are_kept_without_the_thinking_before(tokenizer, screen) -> None:
    session, engine = chat(tokenizer, call("47*83"), ANSWER, ANSWER)
    assert session.ask("first", screen).content == "13"
    assert session.ask("second", screen).problems == []
    assert "<result>3901</result>" in engine.prompts[-1]
    assert [m["role"] for m in session.messages][:4] == ["user", "assistant", "tool", "assistant"]
    assert engine.prompts[-1].endswith("<｜User｜>second<｜Assistant｜><think>")


@pytest.mark.parametrize("value", ["Beijing", "{", "NaN and more", ""])
def test_a_call_that_cannot_be_written_again_does_not_end_the_conversation(tokenizer, screen, value) -> None:
    session, engine = chat(tokenizer, call(value, is_string=False), ANSWER, ANSWER)
    assert session.ask("first", screen).content == "13"
    assert session.ask("second", screen).content == "13", "the second prompt could be encoded"
    assert engine.prompts[-1].count("<｜User｜>") == 2


@pytest.mark.parametrize(
    ("completion", "kept", "notice"),
    [
        pytest.param("thoughts without an end", [], "cut after 200 tokens", id="cut in its thinking"),
        pytest.param("</think>a long answer that", ["q", "a long answer that"], "cut after", id="cut"),
        pytest.param(f"thoughts{EOS}", [], "thinking does not end", id="ends in its thinking"),
        pytest.param(f"</think>1<think>3{EOS}", ["q", "13"], "<think> stands inside", id="stray token"),
        pytest.param(f"</think>{EOS}", [], "there is no answer", id="empty"),
        pytest.param(call("1")[:-70] + EOS, [], "could not be read", id="broken call"),
    ],
)
def test_what_is_kept_of_an_odd_answer(tokenizer, screen, completion, kept, notice) -> None:
    session, _ = chat(tokenizer, completion, ANSWER, max_tokens=200)
    answer = session.ask("q", screen)
    assert contents(session) == kept
    assert (answer.content != "") == bool(kept)
    assert notice in told(screen)
    assert ("this question is forgotten" in told(screen)) == (not kept)
    session.ask("next", screen)
    assert contents(session)[-2:] == ["next", "13"]


def test_the_context_ends_an_answer_and_says_so(tokenizer, screen) -> None:
    session, _ = chat(tokenizer, "</think>" + "word " * 500)
    session.tools = False
    session._max_model_len = 100
    assert "context of 100 tokens is full; /reset" in session.ask("q", screen).problems[0]


def test_an_answer_stops_between_two_steps(tokenizer, screen) -> None:
    session, engine = chat(tokenizer, ANSWER)
    session.ask("first", screen)
    before = list(session.messages)
    with pytest.raises(KeyboardInterrupt):
        session.ask("second", screen, is_stopped=lambda: bool(engine._made))
    assert session.messages == before


def test_text_that_is_not_unicode_is_asked_all_the_same(tokenizer, screen) -> None:
    session, engine = chat(tokenizer, ANSWER)
    session.ask("caf\udce9", screen)
    assert "caf?" in engine.prompts[-1]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[Path, list[str]]:
    """A folder that loads as a scripted engine, and the prompts that this gets."""
    tokenizer = train_tokenizer(["Add 5+4+4."] * 2, 300, tmp_path)
    (tmp_path / "config.json").write_text("{}")
    engine = ScriptedSteps(tokenizer, [ANSWER])
    monkeypatch.setattr(loading, "load", lambda *_, **__: LoadedModel("tiny", engine, tokenizer, 4096))  # type: ignore[arg-type]
    return tmp_path, engine.prompts


def piped(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))


def test_a_pipe_asks_line_by_line_until_exit(model, monkeypatch, capsys) -> None:
    folder, prompts = model
    piped(monkeypatch, b"first\n\n/etc/passwd, what is that?\ncaf\xe9\n/exit\nnever asked\n")
    assert main([str(folder)]) == 0
    assert capsys.readouterr().out == "13\n" * 3
    asked = [prompt.rpartition("<｜User｜>")[2].partition("<｜Assistant｜>")[0] for prompt in prompts]
    assert asked == ["first", "/etc/passwd, what is that?", "caf\N{REPLACEMENT CHARACTER}"]


def test_commands(model, monkeypatch, capsys) -> None:
    piped(monkeypatch, b"/help\n/tols\n/poem\n/tools\n/thinking now\n")
    assert main([str(model[0])]) == 0
    notes = capsys.readouterr().err
    assert all(name in notes for name in ("/reset", "/exit", "Ctrl-D"))
    assert "there is no command /tols; did you mean /tools?" in notes
    assert "there is no command /poem; there are /tools, /thinking, /reset, /help, /exit" in notes
    assert "lookup(key)" in notes and "thinking off" in notes
    assert model[1] == [], "no command reaches the model"


def test_the_cost_says_whose_price_it_is(model, capsys) -> None:
    assert main([str(model[0]), "--once", "Add 5+4+4."]) == 0
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith("at DeepSeek-V3.2's hosted price") and "e-0" not in line and "$0.0000" in line


def test_a_limit_beyond_the_context_is_told(model, capsys) -> None:
    assert main([str(model[0]), "--once", "Add 5+4+4.", "--max-tokens", "100000"]) == 0
    assert "--max-tokens is 100000" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "$0"),
        (2.8e-8, "less than $0.000001"),
        (1.6e-5, "$0.000016"),
        (0.00999, "$0.01"),
        (0.00994, "$0.0099"),
        (0.0123, "$0.01"),
        (12, "$12.00"),
    ],
)
def test_amounts_are_readable(amount: float, text: str) -> None:
    assert dollars(amount) == text


WORDS = st.lists(st.sampled_from(["a", "the", "thirteen", "日本語", "x" * 23, "é", "\n", "  "]), max_size=30)


@given(WORDS, st.integers(1, 7), st.integers(8, 20))
def test_lines_break_between_words_however_the_text_is_cut(words: list[str], size: int, width: int) -> None:
    text = " ".join(words)

    def wrapped(size: int) -> str:
        wrap = WordWrap()
        pieces = [wrap.push(text[at : at + size], width) for at in range(0, len(text), size)]
        return "".join([*pieces, wrap.finish(width)])

    result = wrapped(size)
    assert result == wrapped(len(text) + 1), "the pieces do not matter"
    assert result.replace("\n", "").replace(" ", "") == text.replace("\n", "").replace(" ", "")
    for line in result.split("\n"):
        assert cell_len(line.rstrip()) <= width or any(len(word) > width for word in line.split())
    whole = [word for word in result.split() if word.isascii()]
    assert whole == [word for word in text.split() if word.isascii()], "no word is torn"


def test_a_word_is_shown_once_it_is_complete() -> None:
    wrap = WordWrap()
    assert [wrap.push(piece, 10) for piece in ("Hel", "lo wor", "ld and", " more")] == [
        "",
        "Hello",
        "\nworld",
        " and",
    ]
    assert wrap.finish(10) == "\nmore"


def test_indentation_and_empty_lines_stay() -> None:
    assert WordWrap().push("def f():\n    return 1\n\n\tx\n", 40) == "def f():\n    return 1\n\n    x\n"


def test_the_kept_conversation_is_the_one_an_agent_would_have(tokenizer, screen) -> None:
    """The next prompt is the encoding of the messages: nothing of a turn is left over."""
    session, engine = chat(tokenizer, call("47*83"), ANSWER)
    session.ask("first", screen)
    session.ask("second", screen)
    messages = [SYSTEM_MESSAGE, *session.messages[:-1]]
    assert engine.prompts[-1] == tokenizer.decode(Conversation(tokenizer, "thinking", messages).prompt_ids)
    assert json.loads(session.messages[1]["tool_calls"][0]["function"]["arguments"]) == {
        "expression": "47*83"
    }
