"""FLOPs of a token at a position in the context, and the cache it reads, for dense MLA and for DSA."""

from typing import Literal

from baleen.config.model import ModelConfig
from baleen.cost.parameters import active_parameters

Phase = Literal["prefill", "decode"]


def pair_flops(config: ModelConfig) -> tuple[int, int, int]:
    """FLOPs of one query-key pair in one layer.

    Returns:
        Those of attention in MHA mode, of attention in MQA mode, and of the indexer.
    """
    heads, rope = config.num_attention_heads, config.qk_rope_head_dim
    mha = heads * 2 * (config.qk_nope_head_dim + rope + config.v_head_dim)
    mqa = heads * 2 * (2 * config.kv_lora_rank + rope)
    return mha, mqa, config.index_n_heads * 2 * config.index_head_dim


def attention_flops(config: ModelConfig, position: int, phase: Phase, sparse: bool) -> float:
    """FLOPs of the attention of all layers, indexers included, for one token.

    Prefill computes in MHA mode as long as that is cheaper than the selected set in MQA mode; decode in MQA mode.

    Args:
        config: the sizes of the model.
        position: tokens before it.
        phase: "prefill" or "decode".
        sparse: DSA, or dense attention without indexers.
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
    """FLOPs of one token in the main model: two for every active weight, and its attention.

    Logits are included, also those of a prefilled token, although a server needs only the last one's. Arguments as in
    `attention_flops`.
    """
    return 2 * active_parameters(config, sparse) + attention_flops(config, position, phase, sparse)


def prompt_flops(config: ModelConfig, length: int, sparse: bool) -> float:
    """FLOPs of the attention of all layers for a prompt of `length` tokens: the sum over its causal pairs."""
    mha, mqa, index = pair_flops(config)
    layers, k = config.num_hidden_layers, config.index_topk
    pairs = length**2 / 2
    if not sparse:
        return layers * mha * pairs
    selected = pairs if length <= k else length * k - k**2 / 2
    return layers * (mqa * selected + index * pairs)


def cache_bytes(config: ModelConfig, position: int, sparse: bool, latent: float, index: float) -> float:
    """Bytes that the decode of one token reads from the cache of all layers.

    Args:
        config: the sizes of the model.
        position: tokens in the cache.
        sparse: DSA, or dense attention without indexers.
        latent: bytes of one token's latent in the cache of one layer.
        index: bytes of one token's index key in the cache of one layer.
    """
    if not sparse:
        return config.num_hidden_layers * latent * position
    return config.num_hidden_layers * (latent * min(position, config.index_topk) + index * position)
