"""The least time that a machine of measured bandwidth and arithmetic rate needs for what the engine computes.

Bytes and FLOPs come from the model's shapes alone. The bound is optimistic: weights are read once per step, activations
stay in the processor's caches, and memory and arithmetic overlap perfectly.
"""

from dataclasses import dataclass
from typing import Literal

from baleen.config.model import ModelConfig
from baleen.cost.flops import attention_flops, cache_bytes, token_flops
from baleen.cost.parameters import active_parameters


@dataclass(frozen=True)
class Roofline:
    """Rates measured on the machine.

    Attributes:
        bandwidth: bytes read from memory per second.
        flops: FLOPs of a matrix product per second.
    """

    bandwidth: float
    flops: float


@dataclass(frozen=True)
class Work:
    """The least that any implementation of a model must do in one step.

    Attributes:
        flops: FLOPs.
        bytes: bytes read from memory.
    """

    flops: float
    bytes: float

    def seconds(self, roofline: Roofline) -> float:
        """Seconds at the roofline: the slower of reading and computing."""
        return max(self.bytes / roofline.bandwidth, self.flops / roofline.flops)

    def bound(self, roofline: Roofline) -> Literal["memory", "compute"]:
        """Which of the two that is."""
        reading = self.bytes / roofline.bandwidth >= self.flops / roofline.flops
        return "memory" if reading else "compute"


def weights_met(config: ModelConfig, tokens: int) -> float:
    """Weights that a step of `tokens` tokens reads: each expert once, however many tokens chose it.

    If the choices are spread evenly, E (1 - (1 - k/E)^tokens) distinct experts are expected per layer.
    """
    experts, chosen = config.n_routed_experts, config.num_experts_per_tok
    distinct = experts * (1 - (1 - chosen / experts) ** tokens)
    expert = 3 * config.hidden_size * config.moe_intermediate_size
    active = active_parameters(config, config.sparse_attention)
    return active + config.num_moe_layers * (distinct - chosen) * expert


def decode_work(
    config: ModelConfig,
    context: int,
    weight_bytes: int,
    latent_bytes: int,
    index_bytes: int,
    streams: int = 1,
) -> Work:
    """One decode step.

    Args:
        config: the sizes of the model.
        context: cached tokens of each sequence.
        weight_bytes: bytes of one number of a weight; the scales of int8 are not counted.
        latent_bytes: bytes of one number of a cached latent.
        index_bytes: bytes of one number of a cached index key.
        streams: sequences.
    """
    sparse = config.sparse_attention
    latent = latent_bytes * (config.kv_lora_rank + config.qk_rope_head_dim)
    cache = cache_bytes(config, context, sparse, latent, index_bytes * config.index_key_dim)
    flops = token_flops(config, context, "decode", sparse)
    return Work(streams * flops, weight_bytes * weights_met(config, streams) + streams * cache)


def prefill_work(
    config: ModelConfig, length: int, weight_bytes: int, start: int = 0, prompts: int = 1
) -> Work:
    """The prefill of prompts, up to the logits of each last token.

    Args:
        config: the sizes of the model.
        length: tokens of each prompt that are not cached.
        weight_bytes: bytes of one number of a weight.
        start: cached tokens before them.
        prompts: number of prompts.
    """
    sparse = config.sparse_attention
    head = config.vocab_size * config.hidden_size
    weights = active_parameters(config, sparse) - head
    attention = sum(
        attention_flops(config, position, "prefill", sparse) for position in range(start, start + length)
    )
    flops = prompts * (2 * (length * weights + head) + attention)
    return Work(flops, weight_bytes * weights_met(config, prompts * length))
