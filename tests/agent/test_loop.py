"""Rollouts: every way an episode can go ends as a record, and what was sampled is what is trained."""

import asyncio
import random
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from baleen.agent import (
    Completion,
    EnginePolicy,
    Limits,
    PolicyFailure,
    ScriptedPolicy,
    StopReason,
    Trajectory,
    rollout,
)
from baleen.chat import Message, Tokenizer
from baleen.config.engine import SamplingParams
from baleen.environments import (
    FAMILIES,
    Environment,
    Task,
    ToolFailure,
    demonstrate,
    environment_for,
    sample_task,
)

EOS = "<｜end▁of▁sentence｜>"
LIMITS = Limits(max_turns=6, max_length=100_000)
PARAMS = SamplingParams(max_tokens=64)
SCRIPT = list[Message | str]


def task_of(family: str = "calculator", difficulty: int = 2) -> Task:
    return sample_task(family, difficulty, random.Random(5), "train")


def play(
    tokenizer: Tokenizer,
    script: SCRIPT,
    environment: Environment | None = None,
    mode: str = "thinking",
    limits: Limits = LIMITS,
) -> Trajectory:
    policy = ScriptedPolicy(tokenizer, mode, script)
    return asyncio.run(
        rollout(policy, tokenizer, environment or environment_for(task_of()), mode, PARAMS, limits)
    )


def calls_text(*invocations: tuple[str, str], thought: str = "hm") -> str:
    """A completion that makes calls; each has its name and the raw text of its parameters."""
    inner = "".join(
        f'<｜DSML｜invoke name="{name}">\n{body}\n</｜DSML｜invoke>\n' for name, body in invocations
    )
    return f"{thought}</think>\n\n<｜DSML｜function_calls>\n{inner}</｜DSML｜function_calls>{EOS}"


def parameter(name: str, value: str, string: str = "true") -> str:
    return f'<｜DSML｜parameter name="{name}" string="{string}">{value}</｜DSML｜parameter>'


CALCULATE = ("calculate", parameter("expression", "6*7"))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("style", "mode"), [("full", "thinking"), ("short", "thinking"), ("direct", "chat")])
def test_demonstrations_roll_out(tokenizer: Tokenizer, family: str, style: str, mode: str) -> None:
    task = task_of(family, FAMILIES[family].difficulties[1])
    demonstration = demonstrate(task, style)  # type: ignore[arg-type]
    done = play(tokenizer, list(demonstration), environment_for(task), mode)
    assert done.stop_reason == StopReason.FINISHED
    assert done.reward == (0.0 if (family, style) == ("lookup", "short") else 1.0)
    assert len(done.turns) == sum(m["role"] == "assistant" for m in demonstration)
    assert (done.think_tokens > 0) == (mode == "thinking")
    assert done.messages[: len(task.messages)] == task.messages
    assert len(done.messages) == len(task.messages) + len(demonstration)


def test_each_prompt_starts_with_all_that_came_before(tokenizer: Tokenizer) -> None:
    task = task_of("lookup", 3)
    done = play(tokenizer, list(demonstrate(task, "full")), environment_for(task))
    assert len(done.turns) == 4 and done.tool_calls == 3
    assert [turn.starts_chain for turn in done.turns] == [True, False, False, False]
    for before, after in pairwise(turn.completion for turn in done.turns):
        known = [*before.prompt_ids, *before.token_ids]
        assert list(after.prompt_ids[: len(known)]) == known
    last = tokenizer.decode(done.turns[-1].completion.prompt_ids)
    assert last.count("= ") == 3, "the thinking before each call is kept"


@dataclass
class Record:
    token_ids: list[int]
    logprobs: list[float]
    policy_version: int
    finish_reason: str | None = "stop"
    selected: None = None

    @property
    def num_cached_tokens(self) -> int:
        return self.policy_version - 1

    @cached_property
    def routed_experts(self) -> NDArray[np.int16]:
        return np.zeros((len(self.token_ids), 1, 1), np.int16)

    @property
    def sampling_mask(self) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Each token could have been itself or the one above."""
        ids = np.array([[i, i + 1] for i in self.token_ids], np.int32)
        return ids.flatten(), np.arange(0, ids.size + 1, 2)


@dataclass
class Engine:
    """Samples a script with made-up log-probabilities."""

    tokenizer: Tokenizer
    script: SCRIPT
    records: list[Record] = field(default_factory=list)

    async def generate(self, prompt_ids: list[int], params: SamplingParams) -> Record:
        policy = ScriptedPolicy(self.tokenizer, "thinking", [self.script[len(self.records)]])
        ids = list((await policy(prompt_ids, params)).token_ids)
        logprobs = [-(i + 1) / 8 for i in range(len(ids))]
        self.records.append(Record(ids, logprobs, policy_version=len(self.records) + 1))
        return self.records[-1]


def test_a_chain_trains_exactly_what_was_sampled(tokenizer: Tokenizer) -> None:
    task = task_of("calculator", 2)
    script: SCRIPT = [m for m in demonstrate(task, "full") if m["role"] == "assistant"]
    engine = Engine(tokenizer, script)
    done = asyncio.run(
        rollout(EnginePolicy(engine, tokenizer), tokenizer, environment_for(task), "thinking", PARAMS, LIMITS)
    )
    assert done.reward == 1.0
    (sample,) = done.samples()
    assert len(sample.token_ids) == len(sample.loss_mask) == len(sample.logprobs)
    rows = list(zip(sample.token_ids, sample.loss_mask, sample.logprobs, strict=True))
    sampled = [
        (i, p) for record in engine.records for i, p in zip(record.token_ids, record.logprobs, strict=True)
    ]
    assert [(i, p) for i, mask, p in rows if mask] == sampled
    assert all(p == 0.0 for _, mask, p in rows if not mask)
    assert done.completion_tokens == len(sampled)
    unsampled = tokenizer.decode([i for i, mask, _ in rows if not mask])
    assert unsampled.startswith("<｜begin▁of▁sentence｜>") and unsampled.count("<result>") == 2
    assert [turn.completion.usage.cached_tokens for turn in done.turns] == [0, 1, 2]
    # the experts of the whole sequence came last; each turn has its own sampling mask
    assert sample.replay is not None and sample.replay.sampling_mask is not None
    assert sample.replay.experts is engine.records[-1].routed_experts and sample.replay.policy_version == 3
    ids, offsets = sample.replay.sampling_mask
    assert offsets.tolist() == list(range(0, 2 * len(sampled) + 1, 2))
    assert [pair[0] for pair in ids.reshape(-1, 2).tolist()] == [i for i, _ in sampled]


def test_thinking_is_counted_without_its_end(tokenizer: Tokenizer) -> None:
    done = play(tokenizer, [f"abc</think>7{EOS}"])
    assert done.think_tokens == len(tokenizer.encode_text("abc"))
    cut = play(tokenizer, ["abc"])
    assert cut.think_tokens == len(tokenizer.encode_text("abc")) == cut.completion_tokens


def test_a_wrong_answer_is_finished_and_worth_nothing(tokenizer: Tokenizer) -> None:
    done = play(tokenizer, [f"hm</think>1{EOS}"])
    assert (done.stop_reason, done.reward) == (StopReason.FINISHED, 0.0)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"no end of thinking{EOS}", "invalid_thinking_format"),
        (f"hm</think>a</think>b{EOS}", "special_token_in_content"),
        (f"hm</think>\n\n<｜DSML｜function_calls>\n<｜DSML｜invoke{EOS}", ""),
    ],
)
def test_a_malformed_completion_is_a_parse_error(tokenizer: Tokenizer, text: str, says: str) -> None:
    done = play(tokenizer, [text])
    assert (done.stop_reason, done.reward) == (StopReason.PARSE_ERROR, 0.0)
    assert says in done.error and done.turns[0].message is None
    # It is trained on nevertheless: the row is complete.
    (sample,) = done.samples()
    assert sum(sample.loss_mask) == done.completion_tokens > 0


@pytest.mark.parametrize(
    ("invocation", "says"),
    [
        (("python", parameter("code", "1")), "no tool 'python'"),
        (("calculate", ""), "'expression' is a required property"),
        (("calculate", parameter("expression", "", "false")), "not JSON"),
        (("calculate", parameter("expression", "5", "false")), "is not of type 'string'"),
        (("calculate", parameter("expression", "6**7")), "a number is missing"),
    ],
)
def test_a_wrong_call_is_answered_and_the_episode_goes_on(
    tokenizer: Tokenizer, invocation: tuple[str, str], says: str
) -> None:
    task = task_of()
    done = play(tokenizer, [calls_text(invocation), f"so</think>{task.answer}{EOS}"], environment_for(task))
    assert (done.stop_reason, done.reward) == (StopReason.FINISHED, 1.0)
    (result,) = [m for m in done.messages if m["role"] == "tool"]
    assert result["content"].startswith("error: ") and says in result["content"]


def test_two_calls_in_one_message(tokenizer: Tokenizer) -> None:
    task = task_of()
    lookup = ("lookup", parameter("key", "417"))
    done = play(
        tokenizer, [calls_text(CALCULATE, lookup), f"so</think>{task.answer}{EOS}"], environment_for(task)
    )
    assert [m["role"] for m in done.messages[2:]] == ["assistant", "tool", "tool", "assistant"]
    assert done.messages[3]["content"] == "42" and done.reward == 1.0


class Failing:
    """A world whose tools cannot be run."""

    def __init__(self) -> None:
        self.task = task_of()

    def reset(self) -> list[Message]:
        return [dict(message) for message in self.task.messages]

    def step(self, assistant: Message) -> list[Message]:
        raise ToolFailure("the sandbox did not start")

    def score(self, final: Message) -> float:
        raise AssertionError("never asked")

    def snapshot(self) -> bytes:
        return b""

    def restore(self, state: bytes) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_a_tool_that_cannot_run_earns_neither_reward_nor_zero(tokenizer: Tokenizer) -> None:
    done = play(tokenizer, [calls_text(CALCULATE)], Failing())
    assert (done.stop_reason, done.reward) == (StopReason.TOOL_ERROR, None)
    assert done.stop_reason.is_failure_of_infrastructure and "sandbox" in done.error


def test_tools_do_not_run_in_the_last_turn(tokenizer: Tokenizer) -> None:
    done = play(tokenizer, [calls_text(CALCULATE)], Failing(), limits=Limits(1, 100_000))
    assert (done.stop_reason, done.reward, len(done.turns)) == (StopReason.MAX_TURNS, 0.0, 1)


def test_endless_calls_run_out_of_turns(tokenizer: Tokenizer) -> None:
    done = play(tokenizer, [calls_text(CALCULATE)] * 9, limits=Limits(3, 100_000))
    assert (done.stop_reason, done.reward, len(done.turns)) == (StopReason.MAX_TURNS, 0.0, 3)
    assert not done.stop_reason.is_failure_of_infrastructure


def test_a_completion_cut_off_is_not_read(tokenizer: Tokenizer) -> None:
    task = task_of()
    # All of the right answer is there; only the end token is not.
    done = play(tokenizer, [f"so</think>{task.answer}"], environment_for(task))
    assert (done.stop_reason, done.reward, done.turns[0].message) == (StopReason.MAX_TOKENS, 0.0, None)


def test_a_prompt_too_long_ends_before_it_is_sampled_from(tokenizer: Tokenizer) -> None:
    first = play(tokenizer, [f"a</think>1{EOS}"])
    limit = len(first.prompt_ids) + 1
    done = play(tokenizer, [calls_text(CALCULATE)] * 2, limits=Limits(6, limit))
    assert (done.stop_reason, done.reward, len(done.turns)) == (StopReason.MAX_TOKENS, 0.0, 1)
    none = play(tokenizer, [], limits=Limits(6, limit - 1))
    assert (none.stop_reason, none.turns, none.samples(), none.prompt_ids) == (
        StopReason.MAX_TOKENS,
        (),
        [],
        [],
    )


def test_a_policy_that_fails_earns_neither_reward_nor_zero(tokenizer: Tokenizer) -> None:
    async def fails(prompt_ids: list[int], params: SamplingParams) -> Completion:
        raise PolicyFailure("connection lost")

    async def aborts(prompt_ids: list[int], params: SamplingParams) -> Completion:
        return Completion(prompt_ids, [], [], "", "abort")

    for policy in (fails, aborts):
        done = asyncio.run(rollout(policy, tokenizer, environment_for(task_of()), "thinking", PARAMS, LIMITS))
        assert (done.stop_reason, done.reward) == (StopReason.POLICY_ERROR, None)
    assert play(tokenizer, []).stop_reason == StopReason.POLICY_ERROR


class Interview(Failing):
    """Asks a second question after the first answer."""

    def step(self, assistant: Message) -> list[Message]:
        if assistant["tool_calls"]:
            return [{"role": "tool", "content": "42"}]
        return [] if assistant["content"] == "bye" else [{"role": "user", "content": "And then?"}]

    def score(self, final: Message) -> float:
        return 0.5


def test_a_new_question_drops_thinking_and_starts_a_chain(tokenizer: Tokenizer) -> None:
    script: SCRIPT = [
        calls_text(CALCULATE, thought="first"),
        f"second</think>42{EOS}",
        f"third</think>bye{EOS}",
    ]
    done = play(tokenizer, script, Interview())
    assert (done.stop_reason, done.reward) == (StopReason.FINISHED, 0.5)
    assert [turn.starts_chain for turn in done.turns] == [True, False, True]
    kept, dropped = (tokenizer.decode(done.turns[i].completion.prompt_ids) for i in (1, 2))
    assert "first</think>" in kept
    assert "first" not in dropped and "second" not in dropped and "42" in dropped
    samples = done.samples()
    assert [turn.starts_chain for turn in done.turns] == [True, False, True] and len(samples) == 2
    assert sum(sum(sample.loss_mask) for sample in samples) == done.completion_tokens
    assert play(tokenizer, script, Interview(), limits=Limits(2, 100_000)).stop_reason == "max_turns"


def test_a_call_without_rendering_ends_the_episode_at_the_next_question(tokenizer: Tokenizer) -> None:
    broken = calls_text(("calculate", parameter("expression", "{", "false")))
    done = play(tokenizer, [broken, f"so</think>42{EOS}"], Interview())
    assert (done.stop_reason, done.reward) == (StopReason.PARSE_ERROR, 0.0)
    assert "tool_call_arguments_not_json" in done.error


def test_many_rollouts_run_side_by_side(tokenizer: Tokenizer) -> None:
    waiting = 0
    most = 0

    async def together() -> list[Trajectory]:
        def policy(task: Task) -> ScriptedPolicy:
            return ScriptedPolicy(tokenizer, "thinking", demonstrate(task, "full"))

        async def play_one(task: Task) -> Trajectory:
            scripted = policy(task)

            async def slow(prompt_ids: list[int], params: SamplingParams) -> Completion:
                nonlocal waiting, most
                waiting += 1
                most = max(most, waiting)
                await asyncio.sleep(0)
                waiting -= 1
                return await scripted(prompt_ids, params)

            return await rollout(slow, tokenizer, environment_for(task), "thinking", PARAMS, LIMITS)

        rng = random.Random(1)
        return await asyncio.gather(*(play_one(sample_task("lookup", 2, rng, "train")) for _ in range(8)))

    done = asyncio.run(together())
    assert [t.reward for t in done] == [1.0] * 8 and most == 8
