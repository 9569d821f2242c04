"""Stored episodes: what is read is what was played, and playing them again shows any difference."""

import asyncio
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from baleen.agent import (
    ChatPlayer,
    Completion,
    ContextManagement,
    Conversation,
    EnginePolicy,
    Limits,
    ScriptedPolicy,
    StopReason,
    Trajectory,
    play,
    rollout,
)
from baleen.agent.records import NAME, Episode, read_episodes
from baleen.agent.replay_check import differences
from baleen.chat import Message, Tokenizer
from baleen.config import SamplingParams, UserError
from baleen.environments import demonstrate, environment_for, sample_task
from tests.agent.test_loop import Engine, calls_text
from tests.agent.worlds import BROKEN, Model, Watched, answer, look

EOS = "<｜end▁of▁sentence｜>"
TASK = sample_task("lookup", 3, random.Random(5), "train")
LIMITS = Limits(8, 100_000)


def by_engine(tokenizer: Tokenizer, script: Sequence[Message | str] | None = None) -> Trajectory:
    lines = script or [m for m in demonstrate(TASK, "full") if m["role"] == "assistant"]
    policy = EnginePolicy(Engine(tokenizer, list(lines)), tokenizer)
    params = SamplingParams(max_tokens=64)
    return asyncio.run(rollout(policy, tokenizer, environment_for(TASK), "thinking", params, LIMITS))


def by_model(*script: Message, **world: object) -> Trajectory:
    player = ChatPlayer(Model(lambda n: script[n]))
    return asyncio.run(play(player, Watched(**world), LIMITS))  # type: ignore[arg-type]


def stored(played: Trajectory) -> Trajectory:
    row = json.loads(json.dumps(Episode(played, 3, "m", 7.5).to_row()))
    episode = Episode.from_row(row)
    assert (episode.attempt, episode.model, episode.started) == (3, "m", 7.5)
    return episode.trajectory


def bare(played: Trajectory) -> Trajectory:
    """Without the engine's own records, with lists for tuples, and with the tokens as counted."""

    def completion(c: Completion) -> Completion:
        ids = (list(c.prompt_ids), list(c.token_ids), list(c.logprobs)) if c.prompt_ids else ((), (), ())
        return Completion(*ids, "" if not c.prompt_ids else c.text, c.finish_reason, None, c.usage)

    return replace(played, turns=tuple(replace(t, completion=completion(t.completion)) for t in played.turns))


def test_an_engines_episode_is_read_as_it_was_played(tokenizer: Tokenizer) -> None:
    played = by_engine(tokenizer)
    again = stored(played)
    assert again == bare(played) and again.reward == 1.0
    assert again.seconds == pytest.approx(played.seconds, abs=1e-3)
    assert [c.token_ids for c in again.samples()] == [c.token_ids for c in played.samples()]
    assert [c.logprobs for c in again.samples()] == [c.logprobs for c in played.samples()]


def test_a_chain_is_stored_once(tokenizer: Tokenizer) -> None:
    played = by_engine(tokenizer)
    (sample,) = played.samples()
    turns = Episode(played).to_row()["turns"]
    assert sum(len(t["prompt_ids"]) + len(t["token_ids"]) for t in turns) == len(sample.token_ids)
    for before, after in pairwise(turns):
        assert after["prefix"] == before["prefix"] + len(before["prompt_ids"]) + len(before["token_ids"])


def test_a_models_episode_is_read_as_it_was_played() -> None:
    played = by_model(look("a", "b", thought="hm"), answer("one"))
    assert stored(played) == bare(played)
    assert stored(played).usage.dollars == pytest.approx(0.02)


def test_a_malformed_completion_keeps_its_text(tokenizer: Tokenizer) -> None:
    played = by_engine(tokenizer, [f"no end of thinking{EOS}"])
    assert stored(played).turns[0].completion.text == f"no end of thinking{EOS}"


def test_only_the_last_try_of_an_attempt_counts(tmp_path: Path) -> None:
    first, second = by_model(look("a"), look("a"), answer("two")), by_model(answer("one"))
    rows = [Episode(first, k).to_row() for k in (0, 1)] + [Episode(second, 0).to_row()]
    (tmp_path / NAME).write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert [(e.attempt, e.trajectory.reward) for e in read_episodes(tmp_path)] == [(1, 0.0), (0, 1.0)]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "has no trajectories.jsonl"),
        ('{"a": 1}\n', "line 1"),
        ("{\n", "line 1 is damaged; delete"),
        ("", None),
    ],
)
def test_a_folder_that_is_no_run(tmp_path: Path, text: str | None, says: str | None) -> None:
    if text is not None:
        (tmp_path / NAME).write_text(text)
    if says is None:
        assert list(read_episodes(tmp_path)) == []
        return
    with pytest.raises(UserError, match=says):
        list(read_episodes(tmp_path))


def found(played: Trajectory) -> list[str]:
    world = environment_for(TASK) if played.task_id == TASK.id else Watched()
    return list(differences(stored(played), world))


def test_an_honest_episode_plays_again(tokenizer: Tokenizer) -> None:
    assert found(by_engine(tokenizer)) == []
    assert found(by_engine(tokenizer, ["cut off"])) == []
    assert found(by_engine(tokenizer, [calls_text(("lookup", "")), f"so</think>{TASK.answer}{EOS}"])) == []
    assert found(by_model(look("a", "b"), answer("wrong"))) == []


def test_an_episode_at_its_limit_or_of_a_failed_tool_plays_again() -> None:
    assert found(by_model(*[look("a")] * 8)) == []
    failed = by_model(look("a"), fails={"step": BROKEN})
    assert failed.stop_reason is StopReason.TOOL_ERROR and found(failed) == []


def altered(played: Trajectory, place: int, **fields: object) -> Trajectory:
    messages = list(played.messages)
    messages[place] = messages[place] | fields
    turns = [t for t in played.turns if t.message is None or any(t.message is m for m in messages)]
    return replace(played, messages=tuple(messages), turns=tuple(turns))


def test_every_difference_is_told(tokenizer: Tokenizer) -> None:
    played = by_engine(tokenizer)
    assert found(replace(played, reward=0.5)) == ["score 1.0, it was 0.5"]
    (line,) = found(altered(played, 3, content="999"))
    assert line.startswith("turn 1, result 1: ") and "it was '999'" in line
    assert found(altered(played, 1, content="Other?")) == ["the opening messages differ"]
    watched = by_model(look("a"), answer("one"))
    longer = replace(watched, messages=(*watched.messages, answer("more")))
    assert found(longer) == ["turn 2: the episode is over, it went on"]


def test_a_prompt_that_was_encoded_anew_is_told(tokenizer: Tokenizer) -> None:
    played = by_engine(tokenizer)
    turns = list(played.turns)
    prompt = list(turns[1].completion.prompt_ids)
    known = len(turns[0].completion.prompt_ids) + len(turns[0].completion.token_ids)
    prompt[known - 2] += 1
    turns[1] = replace(turns[1], completion=replace(turns[1].completion, prompt_ids=prompt))
    lines = found(replace(played, turns=tuple(turns)))
    assert f"turn 2: its prompt leaves the turn before at token {known - 2} of {known}" in lines


def test_room_in_the_context_is_no_difference(tokenizer: Tokenizer) -> None:
    body = '<｜DSML｜parameter name="expression" string="true">1+1</｜DSML｜parameter>'
    script = [*[calls_text(("calculate", body), thought="t " * 30)] * 9, f"so</think>7{EOS}"]
    task = sample_task("calculator", 2, random.Random(5), "train")
    policy = ScriptedPolicy(tokenizer, "thinking", script)
    shown = Conversation(tokenizer, "thinking", task.messages).num_tokens
    management = ContextManagement("discard-all", round(1.6 * shown))
    params = SamplingParams(max_tokens=64)
    played = asyncio.run(
        rollout(policy, tokenizer, environment_for(task), "thinking", params, Limits(20, 100_000), management)
    )
    assert played.num_fired and played.stop_reason is StopReason.FINISHED
    assert list(differences(stored(played), environment_for(task))) == []
    assert stored(played).num_fired == played.num_fired
