"""The loop with policies of messages: thinking, limits, outcomes as values, and a world that is always closed."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from baleen.agent import (
    BudgetSpent,
    ChatPlayer,
    ContextManagement,
    Endpoint,
    Limits,
    Reply,
    ScriptedModel,
    StopReason,
    Trajectory,
    Worker,
    play,
)
from baleen.agent.records import Episode
from baleen.agent.replay_check import differences
from baleen.chat import Message
from baleen.config import UserError
from baleen.environments import FAMILIES, environment_for, sample_task, scripted_solution
from tests.agent.stand_in import calls, says, stand_in
from tests.agent.worlds import BROKEN, Model, Watched, answer, look, unreachable

LIMITS = Limits(max_turns=20, max_length=100_000)
Script = Callable[[int], Message | Reply]


def played(
    script: Script | Model, world: Watched | None = None, limits: Limits = LIMITS, **options: Any
) -> Trajectory:
    world = world or Watched()
    model = script if isinstance(script, Model) else Model(script)
    try:
        return asyncio.run(play(ChatPlayer(model), world, limits, **options))
    finally:
        assert world.closed == 1


def endless(number: int) -> Message:
    return look("here")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_script_solves_every_family(family: str) -> None:
    task = sample_task(family, FAMILIES[family].difficulties[1], random.Random(5), "train")
    player = ChatPlayer(ScriptedModel(scripted_solution(task)))
    done = asyncio.run(play(player, environment_for(task), LIMITS))
    assert (done.stop_reason, done.reward) == (StopReason.FINISHED, 1.0)
    assert done.messages[len(task.messages) :] == tuple(scripted_solution(task))


def test_tokens_that_no_server_counts_are_bytes_by_four() -> None:
    task = sample_task("lookup", 3, random.Random(5), "train")
    player = ChatPlayer(ScriptedModel(scripted_solution(task)))
    done = asyncio.run(play(player, environment_for(task), LIMITS))
    for turn in done.turns:
        assert turn.message is not None
        said = len(json.dumps([turn.message], ensure_ascii=False).encode())
        assert turn.completion.usage.completion_tokens == said // 4 > 0
    prompts = [turn.completion.usage.prompt_tokens for turn in done.turns]
    assert prompts[0] == len(json.dumps(list(task.messages), ensure_ascii=False).encode()) // 4
    assert prompts == sorted(set(prompts))


def test_an_endpoint_sees_its_thinking_and_all_results_of_parallel_calls() -> None:
    asked = calls(("look", '{"at": "a"}'), ("look", '{"at": "b"}'), reasoning_content="two at once")
    with stand_in([asked, says("one", reasoning_content="so")]) as server:
        done = asyncio.run(play(ChatPlayer(Endpoint(server.url, "m")), Watched(), LIMITS))
    assert (done.stop_reason, done.reward, done.steps, done.tool_calls) == ("finished", 1.0, 2, 2)
    assert [turn.starts_chain for turn in done.turns] == [True, False]
    assert (done.usage.prompt_tokens, done.usage.cached_tokens, done.completion_tokens) == (200, 120, 40)
    first, second = server.requests
    assert first["tools"][0]["function"]["name"] == "look" and len(first["messages"]) == 1
    sent = second["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool"]
    assert sent[1]["reasoning_content"] == "two at once"
    assert [m["content"] for m in sent[2:]] == ["1.0", "1.1"]
    assert [m["tool_call_id"] for m in sent[2:]] == [c["id"] for c in sent[1]["tool_calls"]]


def test_a_new_question_starts_afresh() -> None:
    class Interview(Watched):
        def step(self, assistant: Message) -> list[Message]:
            return [] if assistant["content"] == "bye" else [{"role": "user", "content": "And then?"}]

    done = played(lambda n: answer("bye" if n else "hello"), Interview())
    assert done.stop_reason is StopReason.FINISHED and [t.starts_chain for t in done.turns] == [True, True]


@pytest.mark.parametrize(
    ("limits", "reason", "turns", "says_what"),
    [
        (Limits(3, 100_000), StopReason.MAX_TURNS, 3, "3 turns"),
        (Limits(9, 100), StopReason.MAX_TOKENS, 1, "max_length is 100"),
        (Limits(9, 100_000, max_tokens=25), StopReason.MAX_TOKENS, 3, "30 tokens were completed"),
        (Limits(9, 100_000, max_dollars=0.015), StopReason.MAX_DOLLARS, 2, "0.0200 dollars"),
    ],
)
def test_each_limit_ends_the_episode(limits: Limits, reason: StopReason, turns: int, says_what: str) -> None:
    done = played(endless, limits=limits)
    assert (done.stop_reason, done.reward, len(done.turns)) == (reason, 0.0, turns)
    assert says_what in done.error and done.is_truncated


def test_limits_failures_and_the_policys_own_ends_are_told_apart() -> None:
    limits = {reason for reason in StopReason if reason.is_truncation}
    failures = {reason for reason in StopReason if reason.is_failure_of_infrastructure}
    assert limits == {"max_turns", "max_tokens", "max_seconds", "max_dollars"}
    assert set(StopReason) - limits - failures == {"finished", "parse_error", "refused"}
    assert not limits & failures
    assert not played(lambda n: answer("one")).is_truncated and not played(unreachable).is_truncated
    assert played(lambda n: Reply(answer("so fa"), "length")).is_truncated


def test_half_characters_of_a_world_reach_neither_policy_nor_record() -> None:
    """As from the name of a file that is not UTF-8, or from JSON."""

    class Listing(Watched):
        def step(self, assistant: Message) -> list[Message]:
            return [reply | {"content": "caf\udce9"} for reply in super().step(assistant)]

    model = Model(lambda n: answer("one") if n else look("a"))
    done = played(model, Listing())
    assert done.reward == 1.0 and model.asked[1][-1]["content"] == "caf\ufffd"
    assert "caf\ufffd" in json.dumps(Episode(done).to_row(), ensure_ascii=False).encode().decode()
    assert list(differences(done, Listing())) == []
    crashed = played(lambda n: look("a"), Watched(fails={"step": ValueError("caf\udce9")}), contain=True)
    assert crashed.error == "ValueError: caf\ufffd"


def test_time_cuts_a_slow_answer_short_and_counts_slow_tools() -> None:
    limits = Limits(99, 100_000, max_seconds=0.15)
    began = time.perf_counter()
    done = played(Model(endless, seconds=5.0), limits=limits)
    assert time.perf_counter() - began < 4
    assert (done.stop_reason, done.reward, done.turns) == (StopReason.MAX_SECONDS, 0.0, ())
    model = Model(endless)
    done = played(model, Watched(seconds=0.1), limits)
    assert len(model.asked) == len(done.turns), "nobody is asked when the time is over"
    assert done.stop_reason is StopReason.MAX_SECONDS and 1 <= len(done.turns) <= 2
    assert all(turn.world_seconds >= 0.1 for turn in done.turns)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("length", StopReason.MAX_TOKENS),
        ("malformed", StopReason.PARSE_ERROR),
        ("content_filter", StopReason.REFUSED),
    ],
)
def test_an_answer_that_is_none_is_an_outcome(finish: str, reason: StopReason) -> None:
    done = played(lambda n: Reply(answer("so fa"), finish, 7, 0, 3))
    assert (done.stop_reason, done.reward, done.turns[0].message) == (reason, 0.0, None)
    assert done.turns[0].completion.text == "so fa" and done.completion_tokens == 3
    assert done.messages[-1]["role"] == "user"


def broke(number: int) -> Message:
    raise BudgetSpent("no money")


@pytest.mark.parametrize("script", [unreachable, broke])
def test_no_answer_earns_neither_reward_nor_zero(script: Script) -> None:
    done = played(script)
    assert (done.stop_reason, done.reward) == (StopReason.POLICY_ERROR, None)


@pytest.mark.parametrize("method", ["reset", "step", "score"])
def test_a_world_that_cannot_run_earns_neither_reward_nor_zero(method: str) -> None:
    done = played(lambda n: answer("one") if n else look("a"), Watched(fails={method: BROKEN}))
    assert (done.stop_reason, done.reward) == (StopReason.TOOL_ERROR, None)
    assert "sandbox" in done.error


def crash(number: int) -> Message:
    if number == 0:
        return look("a")
    raise RuntimeError("a bug")


def test_a_crash_is_raised_unless_it_is_to_be_contained() -> None:
    with pytest.raises(RuntimeError, match="a bug"):
        played(crash)
    done = played(crash, contain=True)
    assert (done.stop_reason, done.reward, len(done.turns)) == (StopReason.CRASHED, None, 1)
    assert done.error == "RuntimeError: a bug" and done.stop_reason.is_failure_of_infrastructure
    world = Watched(fails={"step": KeyError("x")})
    assert played(lambda n: look("a"), world, contain=True).stop_reason is StopReason.CRASHED


def test_what_the_user_must_mend_is_raised_even_then() -> None:
    def no_key(number: int) -> Message:
        raise UserError("no such key")

    with pytest.raises(UserError):
        played(no_key, contain=True)


@pytest.mark.parametrize("strategy", ["discard-all", "discard-75", "summary"])
def test_room_is_made_by_what_the_server_counts(strategy: Any) -> None:
    def script(number: int) -> Message | Reply:
        asked = model.asked[-1]
        if asked[-1]["content"].startswith("Your context is nearly full"):
            return Reply(answer("found 7"), "stop", 50, 0, 5)
        tokens = 40 + 20 * len(asked)
        said = answer("one") if number > 12 else look(str(number))
        return Reply(said, "stop", tokens, 0, 20)

    model = Model(script)
    management = ContextManagement(strategy, 250)
    done = played(model, management=management)
    assert (done.stop_reason, done.reward) == (StopReason.FINISHED, 1.0)
    assert done.num_fired >= 2 and done.context == management.describe()
    assert sum(t.starts_chain and t.message is not None for t in done.turns) == 1 + done.num_fired
    assert max(map(len, model.asked)) < len(done.messages) - 4
    summaries = [t for t in done.turns if t.message is None]
    assert len(summaries) == (done.num_fired if strategy == "summary" else 0)
    if strategy == "summary":
        assert "# Notes so far\nfound 7" in model.asked[-1][1]["content"]
    for asked in model.asked:
        results = sum(m["role"] == "tool" for m in asked)
        assert results == sum(len(m.get("tool_calls") or ()) for m in asked)


def test_the_next_prompt_is_what_the_server_counted_and_what_was_added() -> None:
    async def lengths() -> list[int]:
        dialogue = ChatPlayer(Model(lambda n: Reply(look("a"), "tool_calls", 100, 0, 10))).begin()
        results: list[Message] = [{"role": "tool", "content": "x" * 400}]
        dialogue.show(results)
        guessed = dialogue.prompt_tokens
        await dialogue.ask()
        counted = dialogue.prompt_tokens
        dialogue.add(results)
        dialogue.close()
        return [guessed, counted, dialogue.prompt_tokens - counted]

    guessed, counted, added = asyncio.run(lengths())
    assert counted == 110 and 100 <= guessed == added <= 120


def test_a_world_that_blocks_lives_in_one_thread_and_holds_up_nobody() -> None:
    beats = 0

    async def episode() -> Trajectory:
        nonlocal beats
        worker = Worker("world")
        world = await worker.run(Watched, None, None, 0.2)

        async def heart() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        beating = asyncio.create_task(heart())
        done = await play(
            ChatPlayer(Model(lambda n: answer("one") if n else look("a"))), world, LIMITS, None, worker
        )
        beating.cancel()
        worker.close()
        assert world.closed == 1 and len(world.threads) == 1
        assert world.threads != {threading.get_ident()}
        return done

    assert asyncio.run(episode()).reward == 1.0
    assert beats >= 5


def test_in_the_loop_nothing_leaves_its_thread() -> None:
    world = Watched()
    played(lambda n: answer("one") if n else look("a"), world)
    assert world.threads == {threading.get_ident()}
