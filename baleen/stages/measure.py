"""What is measured after a stage: held-out losses, tasks solved."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import torch

from baleen.agent import EnginePolicy, StopReason
from baleen.chat import Tokenizer
from baleen.config import EngineConfig, SamplingParams
from baleen.config.data import Evaluation
from baleen.data.packing import Packed, first_rows, last_rows
from baleen.engine import AsyncEngine, Engine
from baleen.environments import Task, environment_for
from baleen.evaluation.benchmark import Benchmark, run_benchmark
from baleen.model import Record, Transformer
from baleen.rl import LIMITS, EnvironmentFactory
from baleen.train.heldout import heldout_loss, heldout_losses, indexer_fit, with_random_indexers
from baleen.train.supervised import to_batch


def indexer_figures(model: Transformer, rows: Packed) -> dict[str, Any]:
    """Held-out losses, and how well the indexer fits dense attention.

    Args:
        model: with indexers.
        rows: the held-out rows; the first half is real text, the second tasks.

    Returns:
        For `text` and `tasks` the losses `dense_loss`, `sparse_loss` and `random_indexer_loss`, and under `rows` what
        each row adds to them; for both together `kl` and `recall` of `indexer_fit`.
    """
    untrained = with_random_indexers(model, torch.Generator().manual_seed(1))
    half = len(rows.token_ids) // 2
    parts = {"text": first_rows(rows, half), "tasks": last_rows(rows, half)}
    figures: dict[str, Any] = {}
    for name, part in parts.items():
        losses = {
            "dense": heldout_losses(model, part, False),
            "sparse": heldout_losses(model, part, True),
            "random_indexer": heldout_losses(untrained, part, True),
        }
        figures[name] = {f"{kind}_loss": sum(each) for kind, each in losses.items()} | {"rows": losses}
    figures["kl"], figures["recall"] = indexer_fit(model, rows)
    return figures


def bits_per_byte(model: Transformer, text: Packed, tokenizer: Tokenizer) -> float:
    """Bits per byte of held-out real text, with dense or sparse attention as the model is set."""
    ids = text.token_ids.flatten().tolist()
    size = len(tokenizer.decode(ids).encode("utf-8", "replace"))
    loss = heldout_loss(model, text, model.config.sparse_attention)
    return loss * len(ids) / size / math.log(2)


@torch.no_grad()
def expert_load(model: Transformer, rows: Packed) -> list[list[float]]:
    """How the held-out tokens are spread over the experts.

    Returns:
        For each MoE layer, the share of the tokens' choices that each of the E experts gets.
    """
    batch = to_batch(rows)
    record = Record(counted=batch.segments >= 0)
    model.hidden_states(batch.token_ids, model.metadata(batch.token_ids, batch.segments), record)
    return [
        [round(share, 5) for share in layer]
        for layer in record.expert_load(model.config.n_routed_experts).tolist()
    ]


def solve(
    model: Transformer,
    tokenizer: Tokenizer,
    tasks: Sequence[Task],
    evaluation: Evaluation,
    world: EnvironmentFactory = environment_for,
) -> Benchmark:
    """Play each task once. The same model and tasks give the same answers.

    Args:
        model: the policy.
        tokenizer: its tokenizer.
        tasks: the tasks.
        evaluation: how to sample.
        world: makes the environment of a task.
    """
    engine = Engine(model, EngineConfig(max_num_seqs=256), tokenizer.eos_token_id)
    params = SamplingParams(
        max_tokens=evaluation.max_tokens,
        temperature=evaluation.temperature,
        top_p=evaluation.top_p,
        seed=0,
    )

    async def play() -> Benchmark:
        policy = EnginePolicy(AsyncEngine(engine), tokenizer)
        return await run_benchmark(policy, tokenizer, tasks, evaluation.mode, params, LIMITS, world)

    return asyncio.run(play())


def answers_of(benchmark: Benchmark) -> list[dict[str, Any]]:
    """What the checks need to know about each task, in the order of the tasks."""
    return [
        {
            "domain": task.domain,
            "family": task.family,
            "difficulty": task.difficulty,
            "correct": trajectory.reward == 1.0,
            "well_formed": trajectory.stop_reason in (StopReason.FINISHED, StopReason.MAX_TURNS),
            "think_tokens": trajectory.think_tokens,
            "completion_tokens": trajectory.completion_tokens,
        }
        for task, trajectory in zip(benchmark.tasks, benchmark.trajectories, strict=True)
    ]
