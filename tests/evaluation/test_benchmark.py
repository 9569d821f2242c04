"""Benchmarks: every task is played, at the same time, and what is told of them can be checked by hand."""

import asyncio
import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from baleen.agent import Completion, Limits, ScriptedPolicy
from baleen.chat import Message, Tokenizer, train_tokenizer
from baleen.config.engine import SamplingParams
from baleen.cost.prices import price_of
from baleen.environments import Task, demonstrate, near_miss, sample_task
from baleen.evaluation import Benchmark, paired_rise, run_benchmark, wilson
from baleen.evaluation.benchmark import billed_tokens

LIMITS = Limits(max_turns=6, max_length=100_000)
PARAMS = SamplingParams(max_tokens=64)
Script = Callable[[Task], Sequence[Message | str]]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder: Path = tmp_path_factory.mktemp("tokenizer")
    return train_tokenizer(
        ["Compute 47*83. function_calls invoke parameter name string true"] * 2, 300, folder
    )


class Crowd:
    """Answers each task by its own script, and only once all `together` first questions have been asked."""

    def __init__(
        self, tokenizer: Tokenizer, tasks: Sequence[Task], script: Script, together: int = 1
    ) -> None:
        self.seeds: list[int | None] = []
        self._tokenizer = tokenizer
        self._policies = {t.question: ScriptedPolicy(tokenizer, "thinking", script(t)) for t in tasks}
        self._barrier = asyncio.Barrier(together)
        self._asked: set[str] = set()

    async def __call__(self, prompt_ids: list[int], params: SamplingParams) -> Completion:
        text = self._tokenizer.decode(prompt_ids)
        question = max((q for q in self._policies if q in text), key=len)
        if question not in self._asked:
            self._asked.add(question)
            self.seeds.append(params.seed)
            await asyncio.wait_for(self._barrier.wait(), 10)
        return await self._policies[question](prompt_ids, params)


def play(
    tokenizer: Tokenizer, tasks: Sequence[Task], script: Script, params: SamplingParams = PARAMS
) -> Benchmark:
    crowd = Crowd(tokenizer, tasks, script, len(tasks))
    return asyncio.run(run_benchmark(crowd, tokenizer, tasks, "thinking", params, LIMITS))


def tasks_of(family: str, difficulty: int, n: int) -> list[Task]:
    rng = random.Random(f"{family}{difficulty}")
    found: dict[str, Task] = {}
    while len(found) < n:
        task = sample_task(family, difficulty, rng, "heldout")
        found[task.question] = task
    return list(found.values())


def right(task: Task) -> Sequence[Message]:
    return demonstrate(task, "full")


def wrong(task: Task) -> Sequence[Message]:
    return [{"role": "assistant", "content": near_miss(task), "reasoning_content": ": guess"}]


def test_all_rollouts_run_at_once_and_count_in_their_row(tokenizer: Tokenizer) -> None:
    tasks = [*tasks_of("sum", 4, 5), *tasks_of("sum", 3, 3), *tasks_of("lookup", 2, 2)]
    failing = {tasks[0].id, tasks[1].id, tasks[8].id}
    benchmark = play(tokenizer, tasks, lambda task: wrong(task) if task.id in failing else right(task))
    rows = benchmark.rows()
    assert [(r["domain"], r["family"], r["difficulty"], r["n"], r["correct"]) for r in rows] == [
        ("math", "sum", 4, 5, 3),
        ("math", "sum", 3, 3, 3),
        ("tool", "lookup", 2, 2, 1),
    ]
    assert (rows[0]["low"], rows[0]["high"]) == wilson(3, 5)[1:]
    assert benchmark.outcomes() == {task.id: task.id not in failing for task in tasks}


def test_tokens_and_dollars_are_those_of_all_turns(tokenizer: Tokenizer) -> None:
    benchmark = play(tokenizer, tasks_of("lookup", 3, 1), right)
    turns = [turn.completion for turn in benchmark.trajectories[0].turns]
    assert len(turns) == 4
    (row,) = benchmark.rows()
    assert row["prompt_tokens"] == sum(len(turn.prompt_ids) for turn in turns)
    assert row["cached_tokens"] == sum(len(turn.prompt_ids) + len(turn.token_ids) for turn in turns[:-1])
    assert row["completion_tokens"] == sum(len(turn.token_ids) for turn in turns)
    assert 0 < row["think_tokens"] < row["completion_tokens"]
    expected = price_of(row["prompt_tokens"], row["cached_tokens"], row["completion_tokens"])
    assert row["dollars"] == pytest.approx(expected)


def test_a_prompt_that_was_encoded_afresh_is_not_billed_as_cached(tokenizer: Tokenizer) -> None:
    (trajectory,) = play(tokenizer, tasks_of("calculator", 2, 1), right).trajectories
    assert billed_tokens(trajectory)[1] > 0
    fresh = tuple(dataclasses.replace(turn, starts_chain=True) for turn in trajectory.turns)
    assert billed_tokens(dataclasses.replace(trajectory, turns=fresh))[1] == 0


def test_infrastructure_that_fails_counts_nowhere(tokenizer: Tokenizer) -> None:
    tasks = tasks_of("sum", 4, 4)
    benchmark = play(
        tokenizer, tasks, lambda task: [] if task is tasks[0] else right(task)
    )  # an empty script fails
    (row,) = benchmark.rows()
    assert (row["n"], row["correct"]) == (3, 3)
    assert tasks[0].id not in benchmark.outcomes()
    assert [sample["task_id"] for sample in benchmark.samples(1)] == [tasks[1].id]


def test_a_mistake_in_the_program_is_not_swallowed(tokenizer: Tokenizer) -> None:
    async def broken(prompt_ids: list[int], params: SamplingParams) -> Completion:
        raise KeyError("broken")

    with pytest.raises(ExceptionGroup):
        asyncio.run(run_benchmark(broken, tokenizer, tasks_of("sum", 4, 2), "thinking", PARAMS, LIMITS))


def test_each_task_has_a_seed_of_its_own(tokenizer: Tokenizer) -> None:
    tasks = tasks_of("sum", 4, 3)
    for seed, seeds in ((7, [7, 8, 9]), (None, [None] * 3)):
        crowd = Crowd(tokenizer, tasks, right)
        params = SamplingParams(max_tokens=64, seed=seed)
        asyncio.run(run_benchmark(crowd, tokenizer, tasks, "thinking", params, LIMITS))
        assert crowd.seeds == seeds


def test_samples_read_like_a_transcript(tokenizer: Tokenizer) -> None:
    tasks = [*tasks_of("calculator", 1, 2), *tasks_of("sum", 4, 2)]
    samples = play(tokenizer, tasks, right).samples(1)
    assert [sample["domain"] for sample in samples] == ["tool", "math"]
    expression, answer = tasks[0].question.removeprefix("Compute ").rstrip("."), tasks[0].answer
    assert samples[0]["completion"].split("\n") == [
        f"Thought: = {expression}",
        f"Call: calculate {expression}",
        f"Result: {answer}",
        f"Thought: = {answer}",
        f"Answer: {answer}",
    ]
    assert samples[0]["correct"] and samples[0]["prompt"] == tasks[0].question


def test_a_completion_that_was_cut_off_is_shown_as_sampled(tokenizer: Tokenizer) -> None:
    benchmark = play(tokenizer, tasks_of("sum", 4, 1), lambda task: [": 12 and so on"])
    (sample,) = benchmark.samples()
    assert sample["completion"].startswith(": 12 and so on\n(max_tokens")
    assert not sample["correct"] and benchmark.rows()[0]["correct"] == 0


def test_paired_rise_compares_the_tasks_that_both_attempted(tokenizer: Tokenizer) -> None:
    tasks = tasks_of("sum", 4, 12)
    before = play(tokenizer, tasks, wrong)
    after = play(tokenizer, tasks[2:], right)
    rise = paired_rise(after, before)
    assert rise.estimate == 1.0 and rise.clear_of_zero
    assert not paired_rise(after, after).clear_of_zero
