"""Play many tasks with one policy and tell how many it solved, how sure that is, and what it cost."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from baleen.agent import Generate, Limits, Trajectory, rollout_all
from baleen.chat import Message, Tokenizer
from baleen.config.engine import SamplingParams
from baleen.cost.prices import price_of
from baleen.environments import Environment, Task, environment_for
from baleen.evaluation.intervals import Interval, newcombe_paired, wilson


@dataclass(frozen=True)
class Benchmark:
    """Tasks and how each was played. Failures of the infrastructure are counted nowhere.

    Attributes:
        tasks: the tasks.
        trajectories: one per task, in the same order.
    """

    tasks: tuple[Task, ...]
    trajectories: tuple[Trajectory, ...]

    def outcomes(self) -> dict[str, bool]:
        """For each task id, whether the task was solved."""
        return {trajectory.task_id: _solved(trajectory) for _, trajectory in self._counted()}

    def rows(self) -> list[dict[str, Any]]:
        """One row for each domain, family, difficulty and mode, in the order of the tasks.

        Returns:
            Rows with `n` attempts, the number `correct` of them, and `low` and `high`, the 95 % score interval of the
            accuracy; the rest are means per attempt: thinking, completion, prompt and cached tokens over all turns, and
            dollars at DeepSeek-V3.2's list price.
        """
        groups: dict[tuple[str, str, int, str], list[Trajectory]] = {}
        for task, trajectory in self._counted():
            key = (task.domain, task.family, task.difficulty, trajectory.thinking_mode)
            groups.setdefault(key, []).append(trajectory)
        return [_row(key, members) for key, members in groups.items()]

    def samples(self, per_kind: int = 8) -> list[dict[str, Any]]:
        """The first `per_kind` attempts of each family and difficulty, written out for people."""
        taken: Counter[tuple[str, int]] = Counter()
        samples = []
        for task, trajectory in self._counted():
            kind = task.family, task.difficulty
            taken[kind] += 1
            if taken[kind] <= per_kind:
                samples.append(
                    {
                        "task_id": task.id,
                        "domain": task.domain,
                        "family": task.family,
                        "difficulty": task.difficulty,
                        "prompt": task.question,
                        "completion": transcript(trajectory),
                        "correct": _solved(trajectory),
                    }
                )
        return samples

    def _counted(self) -> Iterator[tuple[Task, Trajectory]]:
        for task, trajectory in zip(self.tasks, self.trajectories, strict=True):
            if trajectory.reward is not None:
                yield task, trajectory


async def run_benchmark(
    generate: Generate,
    tokenizer: Tokenizer,
    tasks: Iterable[Task],
    thinking_mode: str,
    params: SamplingParams,
    limits: Limits,
    world: Callable[[Task], Environment] = environment_for,
) -> Benchmark:
    """Play every task once, all at the same time, so that `generate` can batch them.

    Args:
        generate: samples a completion of a prompt.
        tokenizer: the model's tokenizer.
        tasks: the tasks.
        thinking_mode: "thinking" or "chat".
        params: how to sample; the i-th task uses seed + i, so that equal prompts do not share their luck.
        limits: of each episode.
        world: makes the environment of a task.
    """
    tasks = tuple(tasks)
    worlds = [world(task) for task in tasks]
    each = [_seeded(params, i) for i in range(len(tasks))]
    return Benchmark(
        tasks, tuple(await rollout_all(generate, tokenizer, worlds, thinking_mode, each, limits))
    )


def paired_rise(after: Benchmark, before: Benchmark) -> Interval:
    """The rise in accuracy over the tasks that both attempted, with its paired 95 % interval (Newcombe)."""
    now, then = after.outcomes(), before.outcomes()
    shared = [task_id for task_id in now if task_id in then]
    return newcombe_paired([now[i] for i in shared], [then[i] for i in shared])


def billed_tokens(trajectory: Trajectory) -> tuple[int, int]:
    """Prompt tokens over all turns, and how many of them repeat the turn before, which a prefix cache serves.

    What a request shares with other requests is not counted, because it depends on who else is asking.
    """
    prompts = [len(turn.completion.prompt_ids) for turn in trajectory.turns]
    cached = 0
    for turn, following in pairwise(trajectory.turns):
        if not following.starts_chain:
            cached += len(turn.completion.prompt_ids) + len(turn.completion.token_ids)
    return sum(prompts), cached


def transcript(trajectory: Trajectory) -> str:
    """What was thought, called, returned and answered, line by line; a turn without a message as sampled."""
    first = next((i for i, m in enumerate(trajectory.messages) if m["role"] == "assistant"), None)
    messages = trajectory.messages[first:] if first is not None else ()
    lines = [line for message in messages for line in _lines(message)]
    if trajectory.turns and trajectory.turns[-1].message is None:
        lines.append(
            f"{trajectory.turns[-1].completion.text}\n({trajectory.stop_reason}: {trajectory.error})"
        )
    return "\n".join(lines)


def _lines(message: Message) -> Iterator[str]:
    if message["role"] == "tool":
        yield f"Result: {message['content']}"
        return
    if message.get("reasoning_content"):
        yield f"Thought: {message['reasoning_content']}"
    for call in message.get("tool_calls") or ():
        function = call["function"]
        yield " ".join(["Call:", function["name"], *_values(function["arguments"])])
    if message.get("content") or not message.get("tool_calls"):
        yield f"Answer: {message.get('content') or ''}"


def _values(arguments: str) -> list[str]:
    """The arguments of a call without their names; as the model wrote them when they are no JSON object."""
    try:
        parsed = json.loads(arguments)
    except (ValueError, RecursionError):  # the model may nest as deep as it likes
        return [arguments]
    return [str(value) for value in parsed.values()] if isinstance(parsed, dict) else [arguments]


def _row(key: tuple[str, str, int, str], members: Sequence[Trajectory]) -> dict[str, Any]:
    domain, family, difficulty, mode = key
    n = len(members)
    correct = sum(map(_solved, members))
    accuracy = wilson(correct, n)
    billed = [billed_tokens(trajectory) for trajectory in members]
    dollars = [
        price_of(prompt, cached, trajectory.completion_tokens)
        for (prompt, cached), trajectory in zip(billed, members, strict=True)
    ]
    return {
        "domain": domain,
        "family": family,
        "difficulty": difficulty,
        "mode": mode,
        "n": n,
        "correct": correct,
        "low": accuracy.low,
        "high": accuracy.high,
        "think_tokens": sum(trajectory.think_tokens for trajectory in members) / n,
        "completion_tokens": sum(trajectory.completion_tokens for trajectory in members) / n,
        "prompt_tokens": sum(prompt for prompt, _ in billed) / n,
        "cached_tokens": sum(cached for _, cached in billed) / n,
        "dollars": sum(dollars) / n,
    }


def _solved(trajectory: Trajectory) -> bool:
    return trajectory.reward is not None and trajectory.reward >= 1.0


def _seeded(params: SamplingParams, index: int) -> SamplingParams:
    return params if params.seed is None else params.model_copy(update={"seed": params.seed + index})
