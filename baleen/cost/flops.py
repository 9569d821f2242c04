"""FLOPs of a token at a position in the context, and the cache it reads, for dense MLA and for DSA."""

from typing import Literal

from baleen.config.model import ModelConfig
from baleen.cost.parameters import active_parameters

Phase = Literal["prefill", "decode"]


def pair_flops(config: ModelConfig) -> tuple[int, int, int]:
    """FLOPs of one query-key pair in one layer: MHA mode, MQA mode, indexer."""
    heads, rope = config.num_attention_heads, config.qk_rope_head_dim
    mha = heads * 2 * (config.qk_nope_head_dim + rope + config.v_head_dim)
    mqa = heads * 2 * (2 * config.kv_lora_rank + rope)
    return mha, mqa, config.index_n_heads * 2 * config.index_head_dim


def attention_flops(config: ModelConfig, position: int, phase: Phase, sparse: bool) -> float:
    """FLOPs of all layers' attention, indexer included, for the token at `position`.

    Prefill computes in MHA mode while that is cheaper than the selected set in MQA mode; decode in MQA mode.
    """
    mha, mqa, index = pair_flops(config)
    layers, chosen = config.num_hidden_layers, min(position, config.index_topk)
    if not sparse:
        return float(layers * position * (mha if phase == "prefill" else mqa))
    attention = chosen * mqa
    if phase == "prefill":
        attention = min(position * mha, attention)
    return float(layers * (attention + position * index))


def token_flops(config: ModelConfig, position: int, phase: Phase, sparse: bool) -> float:
    """FLOPs of one token at `position` in the main model: two for every weight it meets, and its attention.

    A decoded token computes logits; so is a prefilled one counted, though a server needs only the last one's.
    """
    return 2 * active_parameters(config, sparse) + attention_flops(config, position, phase, sparse)


def prompt_flops(config: ModelConfig, length: int, sparse: bool) -> float:
    """FLOPs of all layers' attention for a whole prompt: the sum over its causal pairs."""
    mha, mqa, index = pair_flops(config)
    layers, k = config.num_hidden_layers, config.index_topk
    pairs = length**2 / 2
    if not sparse:
        return layers * mha * pairs
    selected = pairs if length <= k else length * k - k**2 / 2
    return layers * (mqa * selected + index * pairs)


def cache_bytes(config: ModelConfig, position: int, sparse: bool, latent: float, index: float) -> float:
    """Bytes of cache that the decode of one token reads, over all layers.

    latent, index: bytes that one token's latent and one token's index key take in the cache of one layer.
    """
    if not sparse:
        return config.num_hidden_layers * latent * position
    return config.num_hidden_layers * (latent * min(position, config.index_topk) + index * position)
