"""What the quickstart measures after a stage: held-out losses, tasks solved, the time of a decode step."""

import asyncio
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from baleen.agent import EnginePolicy, StopReason
from baleen.chat import Tokenizer
from baleen.config import EngineConfig, ModelConfig, SamplingParams
from baleen.config.stages import Evaluation
from baleen.data.packing import Packed, first_rows, last_rows
from baleen.engine import AsyncEngine, Engine
from baleen.environments import Task, environment_for
from baleen.evaluation.benchmark import Benchmark, run_benchmark
from baleen.model import AttentionMetadata, LatentCache, Paged, Record, Transformer
from baleen.model.mla import MLA
from baleen.rl import LIMITS, World
from baleen.train.heldout import (
    heldout_loss,
    heldout_losses,
    indexer_fit,
    with_attention,
    with_random_indexers,
)
from baleen.train.supervised import to_batch

COST_POSITIONS = (0.5, 1, 2, 4, 8, 16, 32)  # times index_topk
COST_BATCH = 16
COST_REPEATS = 15
_PARTS = ("", "_attention", "_core")


def indexer_figures(model: Transformer, rows: Packed) -> dict[str, Any]:
    """Dense, sparse and random-indexer loss on `rows`, whose first half is real text, and how well the indexer fits.

    Of each half also what each row adds to its mean losses.
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
    """Held-out real text under the model as it attends now."""
    ids = text.token_ids.flatten().tolist()
    size = len(tokenizer.decode(ids).encode("utf-8", "replace"))
    loss = heldout_loss(model, text, model.config.sparse_attention)
    return loss * len(ids) / size / math.log(2)


@torch.no_grad()
def expert_load(model: Transformer, rows: Packed) -> list[list[float]]:
    """[n_moe_layers][E] share of the held-out tokens' choices that each expert gets."""
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
    mode: str,
    world: World = environment_for,
) -> Benchmark:
    """Ask `tasks` once each. The same model and tasks give the same answers."""
    engine = Engine(model, EngineConfig(max_num_seqs=256), tokenizer.eos_token_id)
    params = SamplingParams(
        max_tokens=evaluation.max_tokens,
        temperature=evaluation.temperature,
        top_p=evaluation.top_p,
        seed=0,
    )

    async def play() -> Benchmark:
        policy = EnginePolicy(AsyncEngine(engine), tokenizer)
        return await run_benchmark(policy, tokenizer, tasks, mode, params, LIMITS, world)

    return asyncio.run(play())


def answers_of(benchmark: Benchmark) -> list[dict[str, Any]]:
    """What the checks want to know of each task, in the order of the tasks."""
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


def decode_cost(model: Transformer) -> dict[str, Any]:
    """Milliseconds of a decode step against the position, dense and sparse (report, fig. 3).

    `*_ms` is the whole step, `*_attention_ms` all of attention with the indexer, `*_core_ms` the attention over what
    is read, without projections and indexer. One step of `COST_BATCH` sequences on one thread, the median of
    `COST_REPEATS`; dense and sparse take turns.
    """
    config = model.config
    positions = [round(times * config.index_topk) for times in COST_POSITIONS]
    twins = {name: with_attention(model, name == "dsa") for name in ("dense", "dsa")}
    cost: dict[str, Any] = {"index_topk": config.index_topk, "positions": positions, "threads": 1}
    cost |= {f"{name}{part}_ms": [] for name in twins for part in _PARTS}
    for position in positions:
        times: dict[str, list[tuple[float, ...]]] = {name: [] for name in twins}
        cache = _filled_cache(config, position)
        for repeat in range(COST_REPEATS + 2):
            for name, twin in twins.items():
                measured = _timed_step(twin, cache, position)
                if repeat >= 2:
                    times[name].append(measured)
        for name, values in times.items():
            for part, column in zip(_PARTS, zip(*values, strict=True), strict=True):
                cost[f"{name}{part}_ms"].append(sorted(column)[len(column) // 2])
    return cost


def _filled_cache(config: ModelConfig, position: int) -> LatentCache:
    cache = LatentCache(config, 1 + COST_BATCH * (position + 1))
    generator = torch.Generator().manual_seed(0)
    for tensor in (*cache.kv, *cache.index_k):
        tensor.normal_(generator=generator)
    return cache


@torch.no_grad()
def _timed_step(model: Transformer, cache: LatentCache, position: int) -> tuple[float, float, float]:
    """Milliseconds of one decode step at `position` tokens of context, in the order of `_PARTS`."""
    slots = 1 + torch.arange(COST_BATCH * (position + 1)).view(COST_BATCH, -1)
    paged = Paged(cache, slots[:, -1:], slots)
    meta = AttentionMetadata(torch.full((COST_BATCH, 1), position), paged=paged)
    layers = [module for module in model.modules() if isinstance(module, MLA)]
    attention, core = _Stopwatch(), _Stopwatch()
    for layer in layers:
        layer.forward = attention(layer.forward)
        layer._absorbed = core(layer._absorbed)
    try:
        start = time.perf_counter()
        model.logits(model.hidden_states(torch.zeros(COST_BATCH, 1, dtype=torch.int64), meta))
        whole = time.perf_counter() - start
    finally:
        for layer in layers:
            del layer.forward, layer._absorbed
    return 1e3 * whole, 1e3 * attention.seconds, 1e3 * core.seconds


class _Stopwatch:
    """Adds up the time spent in the functions it wraps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            self.seconds += time.perf_counter() - start
            return result

        return timed
