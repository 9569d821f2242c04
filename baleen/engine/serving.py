"""The engine's configuration for serving a model."""

from typing import Literal

import torch

from baleen.config import EngineConfig, ModelConfig, UserError
from baleen.config.engine import BackendName, WeightDtype
from baleen.engine.compute_path import ComputePath, choose_path

_FULL_LENGTH_ANSWERS = 4
_LEAST_BLOCKS = 1024


def serving_config(
    model: ModelConfig,
    max_num_seqs: int,
    max_model_len: int | None = None,
    *,
    weight_dtype: Literal["auto", WeightDtype] = "auto",
    backend: BackendName = "auto",
    speculative: bool = False,
) -> EngineConfig:
    """Configure an engine that serves `model`.

    The cache has room for a few answers of full length, or for many short ones; the engine makes the others wait.

    Args:
        model: the sizes of the model.
        max_num_seqs: answers at a time.
        max_model_len: longest prompt plus answer in tokens; the model's context by default.
        weight_dtype: number format of the weights.
        backend: what computes.
        speculative: whether the MTP layer drafts tokens.

    Raises:
        UserError: `max_model_len` exceeds the model's context.
    """
    limit = model.max_position_embeddings
    if max_model_len is not None and max_model_len > limit:
        raise UserError(
            f"max_model_len is {max_model_len}, this model's context is {limit} tokens; give at most that"
        )
    length = max_model_len or limit
    blocks_per_answer = -(-length // EngineConfig().block_size)
    return EngineConfig(
        max_num_seqs=max_num_seqs,
        max_model_len=length,
        num_blocks=max(_LEAST_BLOCKS, 1 + min(max_num_seqs, _FULL_LENGTH_ANSWERS) * blocks_per_answer),
        weight_dtype=weight_dtype,
        backend=backend,
        speculative=speculative,
    )


def default_compute_path(model: ModelConfig) -> ComputePath:
    """The compute path of an engine for a float32 model of these sizes with the default configuration."""
    return choose_path(EngineConfig(), model, torch.float32)
