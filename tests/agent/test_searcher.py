"""The scripted searcher knows what its window shows and nothing else; so strategies differ as they should."""

import asyncio
import random

import pytest

from baleen.agent import ChatPlayer, ContextManagement, Limits, StopReason, Trajectory, play
from baleen.agent.context import Strategy
from baleen.agent.searcher import Searcher
from baleen.environments import environment_for
from baleen.environments.task import answer_message
from baleen.environments.toy.hunt import hunt
from baleen.environments.toy.lookup import next_key

WINDOW = 1_000


def run(seed: int, strategy: Strategy | None, candidates: int = 60, window: int = WINDOW) -> Trajectory:
    world = environment_for(hunt(candidates, random.Random(seed)))
    management = ContextManagement(strategy, window) if strategy else None
    return asyncio.run(play(ChatPlayer(Searcher(seed)), world, Limits(800, window), management))


def looked_up(done: Trajectory) -> list[str]:
    calls = [c for m in done.messages for c in m.get("tool_calls") or ()]
    return [call["function"]["arguments"] for call in calls]


def test_a_hunt_has_one_answer() -> None:
    task = hunt(60, random.Random(1))
    salt, target = task.data["salt"], task.question.split()[8].rstrip("?")
    first, last = int(task.question.split()[3]), int(task.question.split()[5])
    assert [str(k) for k in range(first, last + 1) if next_key(salt, str(k)) == target] == [task.answer]
    world = environment_for(task)
    assert world.score(answer_message(task.answer)) == 1.0 and world.score(answer_message(target)) == 0.0


def test_in_a_large_window_no_key_is_tried_twice() -> None:
    for seed in range(5):
        done = run(seed, None, window=100_000)
        assert done.reward == 1.0 and len(set(looked_up(done))) == len(looked_up(done)) <= 60
    assert len({done.steps for done in (run(s, None, window=100_000) for s in range(5))}) > 1


@pytest.mark.parametrize("strategy", ["discard-all", "discard-75", "summary"])
def test_strategies_go_on_where_none_ends(strategy: Strategy) -> None:
    ended = [run(seed, None) for seed in range(12)]
    full = [seed for seed, done in enumerate(ended) if done.stop_reason is StopReason.MAX_TOKENS]
    assert len(full) >= 4 and all(ended[seed].reward == 0.0 for seed in full)
    went_on = [run(seed, strategy) for seed in full]
    assert all(done.reward == 1.0 and done.num_fired > 0 for done in went_on)
    repeated = sum(len(looked_up(done)) - len(set(looked_up(done))) for done in went_on)
    assert (repeated == 0) == (strategy == "summary"), "what is discarded is forgotten, what is noted is not"


def test_another_question_is_not_answered() -> None:
    reply = Searcher(0).complete([{"role": "user", "content": "Compute 1+1."}])
    assert reply.message["content"] == "" and not reply.message.get("tool_calls")
