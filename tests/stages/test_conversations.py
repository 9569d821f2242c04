"""The benchmark of conversations: a perfect model is right everywhere, a wrong or broken answer is counted once."""

import random

import openai
import pytest

from baleen.chat import Tokenizer, encode_messages
from baleen.cli.loading import LoadedModel
from baleen.environments import Task, demonstrate, sample_conversation
from baleen.server import ScriptedEngine
from benchmarks.conversations import DIFFICULTIES, summary, table, through_http, through_session
from tests.agent.test_against_server import serving
from tests.cli.scripted_chat import ScriptedSteps

EOS = "<｜end▁of▁sentence｜>"


@pytest.fixture
def tasks() -> list[Task]:
    """A conversation with two look-ups."""
    rng = random.Random(0)
    while True:
        drawn = sample_conversation(DIFFICULTIES, 4, rng, "heldout")
        if [task.family for task in drawn].count("lookup") == 2:
            return drawn


def completions(tasks: list[Task]) -> list[list[str]]:
    """What a perfect model writes at each turn, control tokens included."""
    turns = []
    for task in tasks:
        episode = [*task.messages, *demonstrate(task, "full")]
        turns.append(
            [
                encode_messages([message], "thinking", episode[:place], drop_thinking=False)
                for place, message in enumerate(episode)
                if message["role"] == "assistant"
            ]
        )
    return turns


def asked(through: str, tokenizer: Tokenizer, tasks: list[Task], texts: list[str]):
    if through == "engine":
        engine = ScriptedSteps(tokenizer, texts)
        loaded = LoadedModel("m", engine, tokenizer, 8192)  # type: ignore[arg-type]
        return through_session(loaded, tasks), engine.prompts
    scripted = ScriptedEngine(tokenizer, texts, tokens_per_step=1000)
    with serving(scripted, tokenizer) as url, openai.OpenAI(base_url=url, api_key="none") as client:
        return through_http(client, "m", tasks), [tokenizer.decode(prompt) for prompt in scripted.prompts]


@pytest.mark.parametrize("through", ["engine", "http"])
def test_a_perfect_model_is_right_everywhere(tokenizer, tasks, through) -> None:
    turns, prompts = asked(through, tokenizer, tasks, sum(completions(tasks), []))
    assert [turn.is_right for turn in turns] == [True] * 4
    assert [turn.problems for turn in turns] == [[]] * 4
    assert all("## Tools" in prompt for prompt in prompts), "offered from the first turn on"
    assert "error:" not in prompts[-1], "every look-up is in the conversation's store"
    assert prompts[-1].count("<think>") >= 1 and prompts[-1].count("<｜User｜>") == 4


@pytest.mark.parametrize("through", ["engine", "http"])
def test_both_ways_ask_the_same_prompts(tokenizer, tasks, through) -> None:
    """A server and the terminal show a model the same conversation, to the character."""
    texts = sum(completions(tasks), [])
    prompts = [asked(way, tokenizer, tasks, texts)[1] for way in ("engine", "http")]
    assert prompts[0] == prompts[1]


@pytest.mark.parametrize("through", ["engine", "http"])
@pytest.mark.parametrize(
    ("wrong", "broken"),
    [(f"= 1</think>wrong{EOS}", False), ("= 1</think>cut", True), (f"never ends its thinking{EOS}", True)],
)
def test_a_wrong_answer_costs_its_own_turn(tokenizer, tasks, through, wrong, broken) -> None:
    texts = completions(tasks)
    texts[1] = [wrong]
    turns, _ = asked(through, tokenizer, tasks, sum(texts, []))
    assert [turn.is_right for turn in turns] == [True, False, True, True]
    assert [bool(turn.problems) for turn in turns] == [False, broken, False, False]
    figures = summary([turns, turns])
    assert figures["right"]["turn 2"]["count"] == 0 and figures["right"]["turn 3"]["count"] == 2
    assert figures["right"]["all"]["count"] == 6 and figures["right"]["all"]["n"] == 8
    assert sum(row["n"] for name, row in figures["right"].items() if name in DIFFICULTIES) == 8
    assert figures["conversations"]["any format broken"]["count"] == 2 * broken
    assert "turn 4" in table(figures) and "6 of 8" in table(figures)
