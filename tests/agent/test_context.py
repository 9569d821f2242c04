"""Making room in a full window: when, what goes, what stays, and that the record says so."""

import asyncio
import random
from dataclasses import replace
from itertools import pairwise

import pytest

from baleen.agent import (
    ContextManagement,
    Limits,
    ScriptedPolicy,
    StopReason,
    Trajectory,
    fewest_steps,
    rollout,
)
from baleen.agent.context import SUMMARY_REQUEST
from baleen.chat import encode_pieces
from baleen.config.engine import SamplingParams
from baleen.environments import environment_for, sample_task
from tests.agent.test_loop import calls_text

EOS = "<｜end▁of▁sentence｜>"
STEPS = 30
ANSWER = f"done</think>7{EOS}"


def size(turn) -> int:
    return len(str(turn))


def call(n: int, calls: int = 1) -> str:
    body = '<｜DSML｜parameter name="expression" string="true">{}+{}</｜DSML｜parameter>'
    return calls_text(*[("calculate", body.format(n, k)) for k in range(calls)], thought=f"thought {n} " * 4)


def play(tokenizer, script, management, max_turns=60) -> tuple[Trajectory, list[list[int]]]:
    policy = ScriptedPolicy(tokenizer, "thinking", script)
    world = environment_for(sample_task("calculator", 2, random.Random(5), "train"))
    limits = Limits(max_turns=max_turns, max_length=100_000)
    trajectory = asyncio.run(
        rollout(policy, tokenizer, world, "thinking", SamplingParams(max_tokens=64), limits, management)
    )
    return trajectory, policy.prompts


def managed(tokenizer, strategy, script=None, **options):
    """Plays with a window that the calls of a long script fill more than once."""
    alone, prompts = play(tokenizer, [call(0), ANSWER], None)
    window = len(prompts[0]) + 8 * (len(prompts[1]) - len(prompts[0]))
    script = script or [*(call(n) for n in range(STEPS)), ANSWER]
    management = ContextManagement(strategy, window, **options)
    trajectory, prompts = play(tokenizer, script, management)
    assert trajectory.stop_reason is StopReason.FINISHED
    return trajectory, prompts, management


@pytest.mark.parametrize("strategy", ["discard-75", "discard-all"])
def test_room_is_made_above_80_percent_and_the_prompt_only_grows_between(tokenizer, strategy):
    trajectory, prompts, management = managed(tokenizer, strategy)
    limit = 0.8 * management.window
    assert trajectory.num_fired >= 2 and trajectory.context == management.describe()
    starts = [turn.starts_chain for turn in trajectory.turns]
    assert sum(starts) == 1 + trajectory.num_fired == len(trajectory.samples())
    for n, before in enumerate(trajectory.turns[:-1]):
        grown = [*before.completion.prompt_ids, *before.completion.token_ids]
        if starts[n + 1]:
            assert len(prompts[n + 1]) < len(grown)
        else:
            assert prompts[n + 1][: len(grown)] == grown
    assert all(len(prompt) <= limit for prompt in prompts)
    # The world's record is whole.
    assert sum(message["role"] == "tool" for message in trajectory.messages) == STEPS
    assert trajectory.steps == STEPS + 1


def test_discard_all_leaves_the_question_and_discard_75_the_last_calls(tokenizer):
    trajectory, prompts, _ = managed(tokenizer, "discard-all")
    fresh = [turn.completion.prompt_ids for turn in trajectory.turns if turn.starts_chain]
    assert all(prompt == prompts[0] for prompt in fresh)
    trajectory, prompts, _ = managed(tokenizer, "discard-75")
    first = next(i for i, turn in enumerate(trajectory.turns) if i and turn.starts_chain)
    text = tokenizer.decode(prompts[first])
    assert f"thought {first - 1} " in text and "thought 0 " not in text
    assert text.count("</result>\n</function_results>") == first - max(1, first * 3 // 4)


def test_without_management_nothing_is_dropped(tokenizer):
    trajectory, prompts = play(tokenizer, [*(call(n) for n in range(STEPS)), ANSWER], None)
    assert (trajectory.num_fired, trajectory.context) == (0, "")
    assert all(b[: len(a)] == a for a, b in pairwise(prompts))


def test_a_call_is_never_parted_from_its_results(tokenizer):
    rng = random.Random(3)
    for _ in range(200):
        messages = [{"role": "user", "content": "q"}]
        for n in range(rng.randrange(8)):
            calls = rng.randrange(1, 4)
            function = {"name": "f", "arguments": '{"x": "%s"}' % ("y" * rng.randrange(40))}
            messages.append(
                {
                    "role": "assistant",
                    "reasoning_content": f"t{n}",
                    "tool_calls": [{"function": function}] * calls,
                }
            )
            messages += [{"role": "tool", "content": str(n)}] * calls
            if rng.random() < 0.2:
                messages += [{"role": "assistant", "content": "a", "reasoning_content": "r"}]
                messages += [{"role": "user", "content": "more"}]
        for strategy in ("discard-75", "discard-all"):
            for share in ("calls", "tokens"):
                management = ContextManagement(strategy, 100, share_of=share)
                kept, _ = management.discard(messages, size)
                encode_pieces(kept, "thinking")  # raises for a result without its call
                sizes = [len(m["tool_calls"]) for m in kept if m.get("tool_calls")]
                assert sum(m["role"] == "tool" for m in kept) == sum(sizes)
                assert [m for m in kept if not m.get("tool_calls") and m["role"] != "tool"] == (
                    [m for m in messages if not m.get("tool_calls") and m["role"] != "tool"]
                )


def test_share_of_calls_or_of_tokens(tokenizer):
    def turn(size: int) -> list[dict]:
        function = {"name": "f", "arguments": '{"x": "%s"}' % ("y" * size)}
        message = {"role": "assistant", "reasoning_content": "t", "tool_calls": [{"function": function}]}
        return [message, {"role": "tool", "content": "r"}]

    messages = [{"role": "user", "content": "q"}, *turn(4000), *turn(1), *turn(1), *turn(1)]
    for share, left in (("calls", 1), ("tokens", 3)):
        kept, _ = ContextManagement("discard-75", 100, share_of=share).discard(messages, size)
        assert sum(m["role"] == "tool" for m in kept) == left


def test_kept_reasoning_becomes_notes_that_add_up(tokenizer):
    trajectory, prompts, _ = managed(tokenizer, "discard-all", reasoning="keep")
    assert trajectory.num_fired >= 2
    text = tokenizer.decode(prompts[-1])
    question = text[: text.index("<｜Assistant｜>")]
    assert "# Notes so far\nthought 0 " in question and question.count("# Notes so far") == 1
    dropped = [n for n in range(STEPS) if f"thought {n} " in question]
    assert dropped == list(range(len(dropped))) and "</result>" not in question


def test_room_is_made_once_if_asked(tokenizer):
    trajectory, prompts, management = managed(tokenizer, "discard-all", fires="once")
    assert trajectory.num_fired == 1
    assert len(prompts[-1]) > 0.8 * management.window


@pytest.mark.parametrize("count_summary", [True, False])
def test_a_summary_restarts_the_rollout(tokenizer, count_summary):
    _, prompts, _ = managed(tokenizer, "discard-all")
    chain = next(n for n, prompt in enumerate(prompts) if n and prompt == prompts[0])
    script = [*(call(n) for n in range(chain)), f"I think</think>0+0 is 0.{EOS}", call(99), ANSWER]
    trajectory, prompts, _ = managed(tokenizer, "summary", script, count_summary=count_summary)
    assert trajectory.num_fired == 1
    asked, restarted = (tokenizer.decode(prompts[chain + n]) for n in (0, 1))
    assert SUMMARY_REQUEST in asked and "thought" not in asked and "</result>" in asked
    assert (
        restarted.endswith("# Notes so far\n0+0 is 0.<｜Assistant｜><think>") and "</result>" not in restarted
    )
    assert trajectory.steps == chain + 2 + count_summary
    assert f"summary {'counted' if count_summary else 'not counted'}" in trajectory.context
    assert SUMMARY_REQUEST not in str(trajectory.messages)


def test_a_policy_that_fails_at_the_summary_ends_the_rollout(tokenizer):
    _, prompts, _ = managed(tokenizer, "discard-all")
    chain = next(n for n, prompt in enumerate(prompts) if n and prompt == prompts[0])
    management = ContextManagement("summary", len(prompts[chain - 1]))
    trajectory, _ = play(tokenizer, [call(n) for n in range(chain)], management)
    assert trajectory.stop_reason is StopReason.POLICY_ERROR and trajectory.reward is None


@pytest.mark.parametrize("options", [{}, {"share_of": "tokens"}])
def test_a_call_without_a_rendering_ends_the_rollout(tokenizer, options):
    """Its arguments are no JSON: the tool refuses it, and only encoding it afresh finds it out."""
    broken = calls_text(
        ("calculate", '<｜DSML｜parameter name="expression" string="false">1+</｜DSML｜parameter>')
    )
    _, prompts = play(tokenizer, [*(call(n) for n in range(STEPS)), broken, ANSWER], None)
    management = ContextManagement("discard-75", int(len(prompts[STEPS]) / 0.8) + 2, **options)
    script = [*(call(n) for n in range(STEPS)), broken, call(1), ANSWER]
    trajectory, _ = play(tokenizer, script, management)
    assert trajectory.stop_reason is StopReason.PARSE_ERROR
    assert trajectory.error.startswith("tool_call_arguments_not_json")


def test_the_fewest_steps_of_those_that_finished(tokenizer):
    def of(steps: int, reason: StopReason = StopReason.FINISHED) -> Trajectory:
        trajectory, _ = play(tokenizer, [*(call(n) for n in range(steps)), ANSWER], None)
        return replace(trajectory, stop_reason=reason)

    cut, long, short, also_short = of(0, StopReason.MAX_TURNS), of(3), of(1), of(1)
    assert fewest_steps([cut, long, short, also_short]) is short
    assert fewest_steps([cut, cut]) is cut
    with pytest.raises(ValueError, match="no trajectory"):
        fewest_steps([])


def test_options_out_of_range_are_named():
    for options, named in (
        ({"strategy": "forget"}, "strategy is 'forget'"),
        ({"window": 0}, "window is 0"),
        ({"trigger": 1.5}, "trigger is 1.5"),
    ):
        with pytest.raises(ValueError, match=named):
            ContextManagement(**{"strategy": "summary", "window": 100, **options})
    described = ContextManagement("discard-75", 4096, share_of="tokens", fires="once").describe()
    assert described == (
        "discard-75 above 80% of 4,096 tokens, fires once, share of tokens, "
        "reasoning of discarded turns: discard"
    )
