"""The supervised stages: pre-training, DSA warm-up, sparse training, SFT and distillation are one loop."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from baleen.config.stages import SupervisedStage
from baleen.data.packing import Packed
from baleen.model import Transformer
from baleen.model.moe import MoE
from baleen.train.checkpoint import Checkpoints
from baleen.train.losses import Batch, LossWeights, supervised_loss
from baleen.train.optim import Optimizers
from baleen.train.workers import Workers, clip_gradients


class Interrupted(Exception):
    """The user asked to stop; the checkpoint is written."""


@dataclass
class StageContext:
    """What a stage needs from outside: where to report, where to save, when to stop."""

    workers: Workers
    checkpoints: Checkpoints
    log: Callable[[int, dict[str, float]], None]
    should_stop: Callable[[], bool] = field(default=lambda: False)
    resumed: Callable[[int], None] = field(default=lambda done: None)  # told how many steps are done already
    warn: Callable[[str], None] = field(default=lambda text: None)  # told what a user should see at once


def main_names(model: Transformer) -> set[str]:
    """Parameters of the main model: all but the multi-token prediction layer's."""
    mtp = f"model.layers.{model.config.num_hidden_layers}."
    return {name for name, _ in model.named_parameters() if not name.startswith(mtp)}


def trainable_names(model: Transformer, stage: SupervisedStage) -> set[str]:
    """Parameters that the stage changes: only the indexers in the warm-up (V3.2 report, sec. 2.1.1), else all used.

    The MTP layer is among them where its loss has a weight.
    """
    used = {name for name, _ in model.named_parameters()} if stage.mtp_loss_weight else main_names(model)
    return {name for name in used if ".indexer." in name} if stage.lm_loss_weight == 0 else used


def train(
    model: Transformer, stage: SupervisedStage, batches: Callable[[int], Packed], context: StageContext
) -> None:
    """Run a stage to its end, or from its newest checkpoint.

    `batches(step)` is a pure function of the step, so a resumed run sees the data of an uninterrupted one.
    Raises Interrupted after a checkpoint when `context.should_stop()` turns true.
    """
    if stage.mtp_loss_weight and not model.config.num_nextn_predict_layers:
        stage = stage.model_copy(update={"mtp_loss_weight": 0.0})
    names = trainable_names(model, stage)
    optimizers = Optimizers(model, names, stage.muon_lr, stage.adam_lr, stage.steps, stage.stable_fraction)
    start = restore(model, optimizers, context.checkpoints)
    context.resumed(start)
    model.train()
    weights = LossWeights(
        stage.lm_loss_weight, stage.mtp_loss_weight, stage.index_loss_weight, stage.balance_loss_weight
    )
    rows = context.workers.ahead(batches, range(start, stage.steps))
    for step, packed in zip(range(start, stage.steps), rows, strict=True):
        began = time.perf_counter()
        batch = to_batch(packed)
        parts, load = _gradients(model, batch, weights, optimizers.params, context.workers)
        parts["grad_norm"] = clip_gradients(optimizers.params, stage.clip_norm)
        parts["lr"] = optimizers.step(step, context.workers.map)
        if stage.lm_loss_weight:
            update_routing_bias(model, load, stage.bias_update_speed)
            parts["load_max_over_mean"] = float(load.max() * load.shape[-1])
        parts["tokens_per_s"] = batch.token_ids.numel() / (time.perf_counter() - began)
        context.log(step, parts)
        save_if_due(step + 1, stage.steps, stage.checkpoint_every, model, optimizers, context)


def to_batch(packed: Packed) -> Batch:
    """NumPy rows as tensors."""
    return Batch(
        torch.from_numpy(packed.token_ids),
        torch.from_numpy(packed.segments),
        torch.from_numpy(packed.loss_mask),
    )


def _gradients(
    model: Transformer, batch: Batch, weights: LossWeights, params: list[Tensor], workers: Workers
) -> tuple[dict[str, float], Tensor]:
    """Set `.grad`; returns the summed loss parts and the experts' load [n_moe_layers, E]."""
    totals = batch.totals()

    def loss_of(part: slice) -> tuple[Tensor, Any]:
        loss, parts, record = supervised_loss(model, batch.rows(part), weights, totals)
        return loss, (parts, record.expert_counts(model.config.n_routed_experts))

    results = workers.gradients(loss_of, workers.slices(totals.rows), params)
    logged: dict[str, float] = {}
    for parts, _ in results:
        for name, value in parts.items():
            logged[name] = logged.get(name, 0.0) + value
    counts = torch.stack([counts for _, counts in results]).sum(0)
    return logged, counts / counts.sum(-1, keepdim=True)


@torch.no_grad()
def update_routing_bias(model: Transformer, load: Tensor, speed: float) -> None:
    """b_i += u · sign(mean load - load_i), in place (V3 report, sec. 2.1.2). `load` [n_moe_layers, E]."""
    for module in model.modules():
        if isinstance(module, MoE) and module.moe_idx is not None:
            mine = load[module.moe_idx]
            module.gate.e_score_correction_bias += speed * torch.sign(mine.mean() - mine)


def restore(model: Transformer, optimizers: Optimizers, checkpoints: Checkpoints) -> int:
    """Load the newest checkpoint into model and optimizers. Returns the number of finished steps."""
    found = checkpoints.latest()
    if found is None:
        return 0
    step, groups, _ = found
    model.load_state_dict(groups["model"])
    optimizers.load_tensors(groups["optimizer"])
    return step


def save_if_due(
    done: int, total: int, every: int, model: Transformer, optimizers: Optimizers, context: StageContext
) -> None:
    """Checkpoint every `every` steps, at the end, and before stopping on request."""
    stopping = context.should_stop()
    if done % every == 0 or done == total or stopping:
        context.checkpoints.save(done, {"model": model.state_dict(), "optimizer": optimizers.tensors()}, {})
    if stopping and done < total:
        raise Interrupted
