"""The asynchronous front: shared steps, order, cancellation at any moment, failure, loop after loop."""

import asyncio
import time

import pytest

from baleen.config import UserError
from baleen.config.engine import EngineConfig, SamplingParams
from baleen.engine import AsyncEngine, Engine
from tests.engine.fake_model import ChecksumModel
from tests.engine.test_scheduling import GREEDY, check, prompts

LONG = SamplingParams(max_tokens=400, temperature=0, ignore_eos=True)
in_thread = pytest.mark.parametrize("in_thread", [False, True])


def engine_of(**sizes) -> Engine:
    return Engine(
        ChecksumModel(), EngineConfig(**{"backend": "torch", "max_num_seqs": 16, "num_blocks": 256} | sizes)
    )


def count_steps(engine: Engine, seconds: float = 0.0) -> list[int]:
    """Number of outputs of each step from now on, -1 for one in progress; it takes `seconds` or more."""
    outputs: list[int] = []
    plain = engine.step

    def step():
        outputs.append(-1)
        time.sleep(seconds)
        out = plain()
        outputs[-1] = len(out)
        return out

    engine.step = step
    return outputs


@in_thread
def test_concurrent_requests_share_every_step(in_thread):
    engine = engine_of()
    batch = prompts(16)

    async def run():
        front = AsyncEngine(engine, in_thread)
        steps = count_steps(engine)
        return await asyncio.gather(*(front.generate(p, GREEDY) for p in batch)), steps

    results, steps = asyncio.run(run())
    for prompt, result in zip(batch, results, strict=True):
        assert result.prompt_ids == prompt
        check(result, engine.model)
    assert steps == [16] * 12


def test_rollouts_of_many_turns_stay_together():
    engine = engine_of()
    steps = count_steps(engine)

    async def rollout(front: AsyncEngine, i: int, prompt: list[int]) -> None:
        for _ in range(4):
            for _ in range(i % 3):
                await asyncio.sleep(0)  # an environment that awaits something
            prompt = prompt + (await front.generate(prompt, GREEDY)).token_ids + [1]

    async def run():
        front = AsyncEngine(engine)
        async with asyncio.TaskGroup() as group:
            for i, prompt in enumerate(prompts(15)):
                group.create_task(rollout(front, i, prompt))
            group.create_task(front.generate([1], LONG))

    asyncio.run(run())
    assert steps[:48] == [16] * 48


def test_requests_are_admitted_in_the_order_of_submission():
    engine = engine_of(max_num_seqs=1)
    done = []

    async def one(front, i):
        await front.generate([i], GREEDY)
        done.append(i)

    async def run():
        front = AsyncEngine(engine, in_thread=True)
        await asyncio.gather(*(one(front, i) for i in range(6)))

    asyncio.run(run())
    assert done == list(range(6))


@in_thread
def test_a_stream_gives_every_token_and_its_record(in_thread):
    engine = engine_of()

    async def run():
        outputs = [o async for o in AsyncEngine(engine, in_thread).stream([3, 4], GREEDY)]
        return outputs

    outputs = asyncio.run(run())
    assert [o.finish_reason for o in outputs] == [None] * 11 + ["length"]
    check(engine.generate([[3, 4]], GREEDY)[0], engine.model)
    assert engine.generate([[3, 4]], GREEDY)[0].token_ids == [t for o in outputs for t in o.new_token_ids]
    assert not engine._results, "the record of a stream that nobody took is forgotten"


@in_thread
def test_leaving_a_stream_frees_its_blocks(in_thread):
    engine = engine_of()

    async def run():
        front = AsyncEngine(engine, in_thread)
        stream = front.stream([3, 4, 5], LONG)
        async for _ in stream:
            break
        await stream.aclose()
        return await front.generate([3, 4, 6], GREEDY)

    check(asyncio.run(run()), engine.model)
    assert engine.num_free_blocks == 255
    assert not engine.has_unfinished()


@in_thread
@pytest.mark.parametrize("turns", range(8))
def test_cancelling_at_any_moment_leaves_nothing(in_thread, turns):
    engine = engine_of()

    async def run():
        front = AsyncEngine(engine, in_thread)
        tasks = [asyncio.create_task(front.generate(p, LONG)) for p in prompts(3)]
        for _ in range(turns):
            await asyncio.sleep(0.001 if in_thread else 0)
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        check(await front.generate([1, 2], GREEDY), engine.model)

    asyncio.run(run())
    assert engine.num_free_blocks == 255
    assert not engine.has_unfinished() and not engine._results


@in_thread
def test_a_closed_loop_leaves_the_front_usable_in_the_next(in_thread):
    engine = engine_of()
    front = AsyncEngine(engine, in_thread)
    steps = count_steps(engine, 0.02)

    async def give_up():
        await asyncio.wait_for(asyncio.gather(*(front.generate(p, LONG) for p in prompts(3))), 0.05)

    async def leave_running():
        asyncio.create_task(front.generate([9], LONG))
        await asyncio.sleep(0.03)

    with pytest.raises(TimeoutError):
        asyncio.run(give_up())
    assert not engine.has_unfinished()
    asyncio.run(leave_running())
    assert not engine.has_unfinished() and -1 not in steps
    for _ in range(2):
        check(asyncio.run(front.generate([1, 2], GREEDY)), engine.model)
    assert engine.num_free_blocks == 255
    assert not engine.has_unfinished() and not engine._results


def test_the_loop_stays_responsive_while_a_step_runs_in_the_thread():
    engine = engine_of()
    count_steps(engine, 0.05)

    async def run():
        front = AsyncEngine(engine, in_thread=True)
        task = asyncio.create_task(front.generate([1, 2], SamplingParams(max_tokens=4, ignore_eos=True)))
        ticks = 0
        while not task.done():
            await asyncio.sleep(0.002)
            ticks += 1
        return ticks

    assert asyncio.run(run()) > 20


@in_thread
def test_a_failing_step_fails_every_request_and_the_next(in_thread):
    engine = engine_of()
    plain = engine.step

    def step():
        engine.step = plain
        raise FloatingPointError("no more numbers")

    engine.step = step

    async def first_of_stream(front):
        async for _ in front.stream([1], GREEDY):
            pass

    async def run():
        front = AsyncEngine(engine, in_thread)
        waiting = [front.generate([i], GREEDY) for i in range(3)] + [first_of_stream(front)]
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [RuntimeError] * 4
        assert "no more numbers" in str(outcomes[0])
        with pytest.raises(RuntimeError, match="no more numbers"):
            await front.generate([1], GREEDY)
        assert isinstance(front.failure, FloatingPointError)

    asyncio.run(run())


def test_an_impossible_request_fails_alone_and_at_once():
    engine = engine_of()

    async def run():
        front = AsyncEngine(engine)
        bad, good = await asyncio.gather(
            front.generate([], GREEDY), front.generate([4], GREEDY), return_exceptions=True
        )
        assert isinstance(bad, UserError)
        check(good, engine.model)

    asyncio.run(run())
